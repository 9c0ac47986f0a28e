//! What a logger would have written, for the present thread.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;

/// Collects until it is dropped.
#[derive(Debug)]
pub struct Logged {
    written: Written,
    _guard: DefaultGuard,
    /// With a single logger alive, `tracing` asks only the thread that first passes an event whether
    /// it is wanted, which may be another test's.
    _other: Dispatch,
}

#[derive(Debug, Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = self.0.lock().expect("no panic holds it");
        written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Logged {
    pub fn begin() -> Self {
        let written = Written::default();
        let writer = written.clone();
        let logger = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .finish();
        Self {
            written,
            _other: Dispatch::new(tracing_subscriber::fmt().finish()),
            _guard: tracing::subscriber::set_default(logger),
        }
    }

    pub fn text(&self) -> String {
        let written = self.written.0.lock().expect("no panic holds it");
        String::from_utf8_lossy(&written).into_owned()
    }

    /// How many lines have `what` in them.
    pub fn count(&self, what: &str) -> usize {
        let text = self.text();
        text.lines().filter(|line| line.contains(what)).count()
    }
}
