//! The time of each case: `cargo bench --bench micro`, or `cargo bench --bench micro -- hit`.

#![allow(missing_docs, unreachable_pub)]

mod cases;

use criterion::{BatchSize, Criterion};

use self::cases::{Failure, Run, copy};

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut criterion = Criterion::default().configure_from_args();
    for case in cases::all() {
        // A filter leaves most out, so each is prepared when its turn comes.
        let mut prepare = Some(case.prepare);
        let mut prepared = None;
        criterion.bench_function(case.name, |bencher| {
            let run = prepared.get_or_insert_with(|| {
                let prepare = prepare.take().expect("prepared once");
                prepare(&runtime).expect("the case can be prepared")
            });
            match run {
                Run::Plain(run) => bencher.iter(run.as_mut()),
                // The clock does not run while the request is made.
                Run::Request(request, run) => {
                    bencher.iter_batched(|| copy(request), run.as_mut(), BatchSize::SmallInput);
                }
            }
        });
    }
    criterion.final_summary();
    Ok(())
}
