//! Rows: what is asked, what the origin would answer, and what has to come of it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};

use crate::subject::{Reply, Subject};

pub(crate) type Fields = &'static [(&'static str, &'static str)];

/// A conversation, and the section of the specification that it shows.
pub(crate) struct Row {
    name: &'static str,
    section: &'static str,
    steps: Vec<Step>,
}

pub(crate) fn row<const N: usize>(
    name: &'static str,
    section: &'static str,
    steps: [Step; N],
) -> Row {
    Row {
        name,
        section,
        steps: steps.into(),
    }
}

pub(crate) enum Step {
    Ask(Box<Ask>),
    Wait(Duration),
}

/// Lets seconds pass.
pub(crate) const fn wait(seconds: u64) -> Step {
    Step::Wait(Duration::from_secs(seconds))
}

/// One request. With a reply, the origin has to be asked; without, it must not be.
pub(crate) struct Ask {
    method: &'static str,
    target: &'static str,
    fields: Vec<(&'static str, &'static str)>,
    reply: Option<Reply>,
    behind: bool,
    status: Option<u16>,
    body: Option<&'static str>,
    has: Vec<(&'static str, Option<&'static str>)>,
    sent: Vec<(&'static str, Option<&'static str>)>,
}

pub(crate) fn get(target: &'static str) -> Ask {
    ask("GET", target)
}

pub(crate) fn ask(method: &'static str, target: &'static str) -> Ask {
    Ask {
        method,
        target,
        fields: Vec::new(),
        reply: None,
        behind: false,
        status: None,
        body: None,
        has: Vec::new(),
        sent: Vec::new(),
    }
}

impl Ask {
    /// With this request field.
    pub(crate) fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.fields.push((name, value));
        self
    }

    /// The origin has to be asked, and answers so.
    pub(crate) fn reply(mut self, status: u16, fields: Fields, body: &'static str) -> Self {
        self.reply = Some(Reply::Response {
            status,
            fields,
            body,
        });
        self
    }

    /// The origin has to be asked, and hangs up.
    pub(crate) fn dropped(mut self) -> Self {
        self.reply = Some(Reply::Dropped);
        self
    }

    /// The origin is asked behind the answer.
    pub(crate) fn behind(mut self) -> Self {
        self.behind = true;
        self
    }

    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    pub(crate) fn body(mut self, body: &'static str) -> Self {
        self.body = Some(body);
        self
    }

    /// The answer has this field line and no other of its name.
    pub(crate) fn has(mut self, name: &'static str, value: &'static str) -> Self {
        self.has.push((name, Some(value)));
        self
    }

    pub(crate) fn lacks(mut self, name: &'static str) -> Self {
        self.has.push((name, None));
        self
    }

    /// The origin saw this field.
    pub(crate) fn sent(mut self, name: &'static str, value: &'static str) -> Self {
        self.sent.push((name, Some(value)));
        self
    }

    pub(crate) fn not_sent(mut self, name: &'static str) -> Self {
        self.sent.push((name, None));
        self
    }

    fn request(&self) -> Request<Bytes> {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = self.method.parse().expect("a method");
        *request.uri_mut() = self.target.parse().expect("a target");
        let host = ("host", "h.example");
        for (name, value) in [host].iter().chain(&self.fields) {
            let value = value.parse().expect("a value");
            let name: http::HeaderName = name.parse().expect("a name");
            request.headers_mut().append(name, value);
        }
        request
    }

    async fn run(&self, subject: &impl Subject, at: &str) {
        let origin = subject.origin();
        if let Some(reply) = self.reply {
            subject.script().answer_next(reply);
        }
        let before = origin.calls();
        let answer = subject.ask(self.request()).await;
        subject.settle().await;
        if self.behind {
            subject.until_asked(before + 1).await;
        }
        let expected = before + usize::from(self.reply.is_some());
        assert_eq!(origin.calls(), expected, "{at}: requests to the origin");
        if self.reply.is_some() {
            let seen = origin.last().parts.headers;
            check("the origin saw", &seen, &self.sent, at);
        }
        match answer {
            Ok(answer) => self.check(&answer, at),
            // The proxy would say 502.
            Err(_) => assert_eq!(self.status, Some(502), "{at}: failed"),
        }
    }

    fn check(&self, answer: &Response<Bytes>, at: &str) {
        let (status, body) = match self.reply {
            Some(Reply::Response { status, body, .. }) if !self.behind && status != 304 => {
                (status, Some(body))
            }
            _ => (200, None),
        };
        let status = self.status.unwrap_or(status);
        assert_eq!(answer.status().as_u16(), status, "{at}: status");
        let silent = self.method == Method::HEAD || status == 304;
        if let Some(body) = self.body.or(body).filter(|_| !silent) {
            let text = String::from_utf8_lossy(answer.body());
            assert_eq!(text, body, "{at}: body");
        }
        check("the answer has", answer.headers(), &self.has, at);
    }
}

fn check(
    who: &str,
    headers: &HeaderMap,
    fields: &[(&'static str, Option<&'static str>)],
    at: &str,
) {
    for (name, expected) in fields {
        let lines = headers.get_all(*name).iter();
        let lines: Vec<_> = lines
            .map(|line| String::from_utf8_lossy(line.as_bytes()))
            .collect();
        let expected: Vec<&str> = expected.iter().copied().collect();
        assert_eq!(lines, expected, "{at}: {who} `{name}`");
    }
}

impl From<Ask> for Step {
    fn from(ask: Ask) -> Self {
        Self::Ask(Box::new(ask))
    }
}

impl Row {
    pub(crate) async fn run(&self, subject: &impl Subject) {
        for (place, step) in self.steps.iter().enumerate() {
            let at = format!("{} ({}), step {}", self.name, self.section, place + 1);
            match step {
                Step::Wait(time) => subject.pass(*time).await,
                Step::Ask(ask) => ask.run(subject, &at).await,
            }
        }
    }
}

/// The steps of a row.
#[macro_export]
macro_rules! rows {
    ($($name:literal, $section:literal: $($step:expr),+;)+) => {
        vec![$($crate::script::row($name, $section, [$($step.into()),+])),+]
    };
}
