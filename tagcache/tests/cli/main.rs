//! The program `tagcache`, run as its users run it: arguments, files, sockets, signals.

mod agreement;
mod bad_servers;
mod certificates;
mod commands;
mod doctor;
mod happened;
mod history;
mod live;
mod program;
mod proxy;
mod purging;
mod relay;
mod served;
mod stopped;
mod surveyed;
mod upstreams;
