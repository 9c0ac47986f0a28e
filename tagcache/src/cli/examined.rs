//! What `tagcache doctor` found, for people.

use std::io::{self, IsTerminal};

use super::failure::{Failure, colours, print};
use super::table::printable;
use tower_tagcache::doctor::{DoctorFinding, PromiseReport, Report, Severity, Standing};

/// Where lines end, if the terminal does not say.
const WIDTH: usize = 100;
/// What stands of a line at least, however wide its beginning.
const LEAST: usize = 24;
/// The widest word for a severity.
const WORD: usize = 7;

/// Prints `report`: what was found, then each promise, then a sentence.
pub(super) fn print_report(report: &Report) -> Result<(), Failure> {
    let page = Page::new(report);
    let bold = page.colour("1");
    print(&page.painted(&bold, &report.server))?;
    print("")?;
    for finding in &report.findings {
        page.finding(finding)?;
    }
    print("")?;
    for promise in &report.promises {
        page.promise(promise)?;
    }
    print("")?;
    let (on, off) = page.colour(code(report.verdict));
    print(&format!("  {on}{}{off}", summary(report)))?;
    print("")
}

type Colour = (String, &'static str);

struct Page {
    is_terminal: bool,
    width: usize,
    area: usize,
    says: usize,
}

impl Page {
    fn new(report: &Report) -> Self {
        let columns = std::env::var("COLUMNS")
            .ok()
            .and_then(|columns| columns.parse().ok());
        let widest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or_default();
        Self {
            is_terminal: io::stdout().is_terminal(),
            width: columns.unwrap_or(WIDTH),
            area: widest(
                &mut report
                    .findings
                    .iter()
                    .map(|finding| finding.area.chars().count()),
            ),
            says: widest(&mut report.promises.iter().map(|promise| promise.says.len())),
        }
    }

    fn colour(&self, code: &str) -> Colour {
        colours(self.is_terminal, code)
    }

    fn painted(&self, (on, off): &Colour, text: &str) -> String {
        format!("{on}{}{off}", printable(text))
    }

    /// A finding, and below it what to do.
    fn finding(&self, finding: &DoctorFinding) -> Result<(), Failure> {
        let indent = 2 + WORD + 2 + self.area + 2;
        let (on, off) = self.colour(code(finding.severity));
        let area = printable(&finding.area);
        let beginning = format!(
            "  {on}{:<WORD$}{off}  {area:<area_width$}  ",
            finding.severity,
            area_width = self.area
        );
        self.lines(&beginning, indent, &finding.message)?;
        match &finding.remedy {
            Some(remedy) => {
                let (on, off) = self.colour("1");
                self.lines(
                    &format!("{}{on}→{off} ", " ".repeat(indent)),
                    indent + 2,
                    remedy,
                )
            }
            None => Ok(()),
        }
    }

    fn promise(&self, promise: &PromiseReport) -> Result<(), Failure> {
        let severity = match promise.standing {
            Standing::Holds => Severity::Ok,
            Standing::Limited => Severity::Warning,
            Standing::Broken => Severity::Problem,
            Standing::Unknown => Severity::Note,
        };
        let (on, off) = self.colour(code(severity));
        let because = match promise.because.as_slice() {
            [] => String::new(),
            areas => format!(": {}", areas.join(", ")),
        };
        let says_width = self.says;
        let PromiseReport {
            promise,
            says,
            standing,
            ..
        } = promise;
        print(&format!(
            "  {promise}  {says:<says_width$}  {on}{standing}{off}{}",
            printable(&because)
        ))
    }

    /// `text` behind `beginning`, which is `indent` wide, over as many lines as it takes.
    fn lines(&self, beginning: &str, indent: usize, text: &str) -> Result<(), Failure> {
        let room = self.width.saturating_sub(indent).max(LEAST);
        let text = printable(text);
        let mut lines = wrapped(&text, room).into_iter();
        print(&format!("{beginning}{}", lines.next().unwrap_or_default()))?;
        lines.try_for_each(|line| print(&format!("{}{line}", " ".repeat(indent))))
    }
}

const fn code(severity: Severity) -> &'static str {
    match severity {
        Severity::Ok => "32",
        Severity::Note => "36",
        Severity::Warning => "33;1",
        Severity::Problem => "31;1",
    }
}

/// `text` in lines of at most `room`, but for words that are longer.
fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn summary(report: &Report) -> String {
    let warnings = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Warning);
    match (report.verdict, warnings.count()) {
        (Severity::Ok | Severity::Note, _) => "This server is as it should be.".to_owned(),
        (Severity::Problem, _) => {
            "The cache cannot use this server: requests are answered without it until that is mended.".to_owned()
        }
        (Severity::Warning, 1) => "The cache works with this server; one thing should be changed.".to_owned(),
        (Severity::Warning, count) => format!("The cache works with this server; {count} things should be changed."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(
            wrapped("incomprehensible no", 4),
            ["incomprehensible", "no"]
        );
        assert_eq!(wrapped("", 4), [""]);
    }
}
