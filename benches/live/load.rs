//! Clients: each one a socket and a task, all with one buffer.

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, ready};

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::{LocalSet, spawn_local};

use crate::{MARK, now, say};

const REQUEST: &[u8] =
    b"GET /events HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n";

/// What the clients of this process have been told.
struct Heard {
    clients: usize,
    opened: usize,
    /// When each client had the update that is on its way.
    arrived: Vec<u64>,
    /// What those clients read for it.
    bytes: usize,
    buffer: Vec<u8>,
}

/// Clients that read. It says `ready` when all have their opening, and of each update, when all have it: the bytes that they
/// read, and when half of them, 99 % and the last one had it.
pub fn run(server: SocketAddr, source: IpAddr, clients: usize) {
    block_on(async {
        let heard = Rc::new(RefCell::new(Heard {
            clients,
            opened: 0,
            arrived: Vec::with_capacity(clients),
            bytes: 0,
            buffer: vec![0; 64 * 1024],
        }));
        let mut tasks = Vec::new();
        for _ in 0..clients {
            let stream = connect(server, source, None).await;
            tasks.push(spawn_local(listen(stream, Rc::clone(&heard))));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
}

/// Clients that ask and read nothing, with little room for what they are sent.
pub fn stick(server: SocketAddr, source: IpAddr, clients: usize) {
    block_on(async {
        let mut streams = Vec::new();
        for _ in 0..clients {
            streams.push(connect(server, source, Some(4_096)).await);
        }
        say("ready");
        std::future::pending::<()>().await;
        drop(streams);
    });
}

fn block_on(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, work);
}

async fn connect(server: SocketAddr, source: IpAddr, room: Option<u32>) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    if let Some(room) = room {
        socket.set_recv_buffer_size(room).unwrap();
    }
    socket.bind(SocketAddr::new(source, 0)).unwrap();
    let mut stream = socket.connect(server).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    stream
}

async fn listen(mut stream: TcpStream, heard: Rc<RefCell<Heard>>) {
    let mut opened = false;
    loop {
        let read = poll_fn(|cx| {
            let mut heard = heard.borrow_mut();
            let Heard { buffer, .. } = &mut *heard;
            let mut buffer = ReadBuf::new(buffer);
            let result = ready!(Pin::new(&mut stream).poll_read(cx, &mut buffer));
            let read = result.map(|()| buffer.filled().len());
            Poll::Ready(read)
        });
        let read = read.await.unwrap();
        assert!(read > 0, "the server hung up");
        heard.borrow_mut().take(read, &mut opened);
    }
}

impl Heard {
    /// A client has read so much into the buffer.
    fn take(&mut self, read: usize, opened: &mut bool) {
        let text = &self.buffer[..read];
        if !std::mem::replace(opened, true) {
            assert!(text.starts_with(b"HTTP/1.1 200 "), "it is refused");
            self.opened += 1;
            if self.opened == self.clients {
                say("ready");
            }
        }
        let marked = text.contains(&MARK);
        if marked {
            self.arrived.push(now());
        }
        // The rest of an update of which the beginning came before, or its beginning.
        if marked || !self.arrived.is_empty() {
            self.bytes += read;
        }
        if self.arrived.len() == self.clients {
            self.report();
        }
    }

    fn report(&mut self) {
        self.arrived.sort_unstable();
        let at = |share: usize| self.arrived[(self.clients - 1) * share / 100];
        let (half, most, last) = (at(50), at(99), at(100));
        say(format_args!("{} {half} {most} {last}", self.bytes));
        self.arrived.clear();
        self.bytes = 0;
    }
}
