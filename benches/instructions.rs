//! Runs one case a number of times and nothing else, for `instructions.sh` to count its instructions.

#![allow(missing_docs, unreachable_pub)]

mod cases;

use self::cases::{Failure, Run, copy};

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (Some(name), Some(times)) = (arguments.next(), arguments.next()) else {
        // One line for each case: its name, and that of the case to take off.
        for case in cases::all() {
            println!("{} {}", case.name, case.without.unwrap_or_default());
        }
        return Ok(());
    };
    let case = cases::all().into_iter().find(|case| case.name == name);
    let times: u32 = times.parse()?;
    match (case.ok_or("no such case")?.prepare)(&runtime)? {
        Run::Plain(mut run) => (0..times).for_each(|_| run()),
        Run::Request(request, mut run) => (0..times).for_each(|_| run(copy(&request))),
    }
    Ok(())
}
