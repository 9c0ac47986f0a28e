//! The program `tagcache`, run as its users run it: arguments, files, sockets, signals.

mod agreement;
mod commands;
mod happened;
mod history;
mod live;
mod program;
mod proxy;
mod purging;
mod served;
mod stopped;
mod surveyed;
mod upstreams;
