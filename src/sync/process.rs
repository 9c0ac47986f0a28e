//! Processes of the simulation: several in one thread, each with its own tasks and its own way to others.
//!
//! A task that a process spawns belongs to it: while the process stands still none of them runs, whatever becomes ready
//! meanwhile, and when it is killed they are dropped where they are. Outside of the simulation a task belongs to nobody.

use std::cell::RefCell;
use std::fmt;
use std::io::Result as IoResult;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection, real or simulated.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// Connects a process to a port of a host.
pub(crate) type Dial =
    dyn Fn(&str, u16) -> BoxFuture<'static, IoResult<Box<dyn Socket>>> + Send + Sync;

/// Cheap to clone; clones are one process.
#[derive(Clone)]
pub(crate) struct Process(Arc<Inner>);

struct Inner {
    dial: Box<Dial>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stands_still: bool,
    is_dead: bool,
    /// Of each task, by its number.
    wakers: Vec<Option<Waker>>,
    /// Numbers of tasks that have ended.
    free: Vec<usize>,
}

thread_local! {
    static CURRENT: RefCell<Option<Process>> = const { RefCell::new(None) };
}

impl Process {
    pub(crate) fn new(dial: Box<Dial>) -> Self {
        let state = Mutex::default();
        Self(Arc::new(Inner { dial, state }))
    }

    /// The one whose task is being run.
    pub(crate) fn current() -> Option<Self> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Connects to `port` of `host`.
    pub(crate) fn dial(
        &self,
        host: &str,
        port: u16,
    ) -> BoxFuture<'static, IoResult<Box<dyn Socket>>> {
        (self.0.dial)(host, port)
    }

    /// From now on none of its tasks runs.
    pub(crate) fn stop(&self) {
        self.0.state.lock().stands_still = true;
    }

    /// They go on.
    pub(crate) fn go_on(&self) {
        self.0.state.lock().stands_still = false;
        self.wake_all();
    }

    /// Drops its tasks. It stays dead.
    pub(crate) fn kill(&self) {
        self.0.state.lock().is_dead = true;
        self.wake_all();
    }

    /// `future` as one of its tasks.
    pub(crate) fn own<F: Future>(&self, future: F) -> Owned<F> {
        let mut state = self.0.state.lock();
        let number = state.free.pop().unwrap_or(state.wakers.len());
        if number == state.wakers.len() {
            state.wakers.push(None);
        }
        drop(state);
        Owned {
            belongs_to: Some((self.clone(), number)),
            future: Some(Box::pin(future)),
        }
    }

    /// Runs `what` as this process.
    pub(crate) fn run<T>(&self, what: impl FnOnce() -> T) -> T {
        let before = CURRENT.replace(Some(self.clone()));
        let _after = super::OnDrop::new(|| CURRENT.set(before));
        what()
    }

    fn wake_all(&self) {
        let wakers: Vec<Waker> = self
            .0
            .state
            .lock()
            .wakers
            .iter()
            .flatten()
            .cloned()
            .collect();
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Process")
    }
}

/// A future that belongs to a process of the simulation, if one runs what makes it.
pub(crate) struct Owned<F> {
    belongs_to: Option<(Process, usize)>,
    future: Option<Pin<Box<F>>>,
}

/// `future` as a task of the process that calls.
pub(crate) fn owned<F: Future>(future: F) -> Owned<F> {
    match Process::current() {
        Some(process) => process.own(future),
        None => Owned {
            belongs_to: None,
            future: Some(Box::pin(future)),
        },
    }
}

impl<F: Future> Future for Owned<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let Some((process, number)) = &this.belongs_to else {
            let future = this
                .future
                .as_mut()
                .expect("it is taken from processes only");
            return future.as_mut().poll(cx);
        };
        let mut state = process.0.state.lock();
        let (is_dead, stands_still) = (state.is_dead, state.stands_still);
        let waker = &mut state.wakers[*number];
        if !waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            *waker = Some(cx.waker().clone());
        }
        drop(state);
        if is_dead {
            let future = this.future.take();
            process.run(|| drop(future));
            return Poll::Pending;
        }
        match &mut this.future {
            Some(future) if !stands_still => process.run(|| future.as_mut().poll(cx)),
            _ => Poll::Pending,
        }
    }
}

impl<F> Drop for Owned<F> {
    fn drop(&mut self) {
        let Some((process, number)) = &self.belongs_to else {
            return;
        };
        let future = self.future.take();
        process.run(|| drop(future));
        let mut state = process.0.state.lock();
        state.wakers[*number] = None;
        state.free.push(*number);
    }
}

impl<F> fmt::Debug for Owned<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owned")
    }
}
