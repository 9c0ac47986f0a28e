//! What goes over the wire: commands in, answers out (RESP2, and what Sentinels push in RESP3).

use std::collections::VecDeque;

/// A command and its arguments.
pub(in crate::simulation) type Command = Vec<Vec<u8>>;

#[derive(Debug, Clone, PartialEq)]
pub(in crate::simulation) enum Answer {
    Word(&'static str),
    Error(String),
    Number(i64),
    Text(Vec<u8>),
    Nothing,
    NoList,
    List(Vec<Self>),
    /// Of RESP3.
    Map(Vec<(Self, Self)>),
    Push(Vec<Self>),
}

impl Answer {
    pub(in crate::simulation) const OK: Self = Self::Word("OK");

    pub(in crate::simulation) fn text(text: impl Into<Vec<u8>>) -> Self {
        Self::Text(text.into())
    }

    pub(in crate::simulation) fn error(why: impl Into<String>) -> Self {
        Self::Error(why.into())
    }

    pub(in crate::simulation) fn write(&self, out: &mut Vec<u8>) {
        let mut line =
            |kind: char, rest: &str| out.extend_from_slice(format!("{kind}{rest}\r\n").as_bytes());
        match self {
            Self::Word(word) => line('+', word),
            Self::Error(why) => line('-', why),
            Self::Number(number) => line(':', &number.to_string()),
            Self::Nothing => line('$', "-1"),
            Self::NoList => line('*', "-1"),
            Self::Text(text) => {
                line('$', &text.len().to_string());
                out.extend_from_slice(text);
                out.extend_from_slice(b"\r\n");
            }
            Self::List(list) => {
                line('*', &list.len().to_string());
                list.iter().for_each(|one| one.write(out));
            }
            Self::Push(list) => {
                line('>', &list.len().to_string());
                list.iter().for_each(|one| one.write(out));
            }
            Self::Map(map) => {
                line('%', &map.len().to_string());
                for (name, value) in map {
                    name.write(out);
                    value.write(out);
                }
            }
        }
    }
}

pub(in crate::simulation) fn write_command(command: &[Vec<u8>], out: &mut Vec<u8>) {
    let list = command
        .iter()
        .map(|part| Answer::Text(part.clone()))
        .collect();
    Answer::List(list).write(out);
}

/// Commands out of bytes as they come.
#[derive(Debug, Default)]
pub(in crate::simulation) struct Parser {
    bytes: VecDeque<u8>,
}

impl Parser {
    pub(in crate::simulation) fn take(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// The next command that is here as a whole.
    pub(in crate::simulation) fn next(&mut self) -> Option<Command> {
        let bytes = self.bytes.make_contiguous();
        let (mut at, mut command) = (0, Vec::new());
        let parts = number(bytes, &mut at)?;
        for _ in 0..parts {
            let length = number(bytes, &mut at)?;
            command.push(bytes.get(at..at + length)?.to_vec());
            bytes.get(at + length + 1)?;
            at += length + 2;
        }
        self.bytes.drain(..at);
        Some(command)
    }
}

/// The number in a line such as `*3` or `$11`.
fn number(bytes: &[u8], at: &mut usize) -> Option<usize> {
    let rest = &bytes[*at..];
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    *at += end + 2;
    std::str::from_utf8(rest.get(1..end)?).ok()?.parse().ok()
}
