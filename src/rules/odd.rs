//! Paths that an inner service behind a network may read otherwise than a rule does (SAFETY 71).
//!
//! A rule is matched on the path as it was sent. An inner service that decodes it, or takes dot segments out of
//! it, may answer `/static/..%2faccount` by the private page `/account`, which a rule for `/static/{*path}` would
//! keep for all.

/// Whether a path has a dot segment, or encoded what would be one, end a segment or the path, or be decoded
/// once more.
pub(crate) fn is_odd(path: &str) -> bool {
    // Nearly all have neither.
    let bytes = path.as_bytes();
    if !bytes.iter().any(|byte| matches!(byte, b'%' | b'.' | b'\\')) {
        return false;
    }
    bytes.contains(&b'\\') || has_odd_escape(bytes) || path.split('/').any(is_dots)
}

/// Whether a path has a parameter (RFC 3986 §3.3), which some inner services leave out of it.
pub(crate) fn has_parameter(path: &str) -> bool {
    path.contains(';') || path.to_ascii_lowercase().contains("%3b")
}

fn has_odd_escape(path: &[u8]) -> bool {
    path.iter().enumerate().any(|(at, byte)| {
        *byte == b'%'
            && path
                .get(at + 1..at + 3)
                .and_then(escaped)
                .is_none_or(is_odd_byte)
    })
}

/// Control characters (NUL, line ends), separators, and what begins an overlong encoding of them.
const fn is_odd_byte(byte: u8) -> bool {
    byte < 0x20 || matches!(byte, b'/' | b'\\' | b'%' | b'#' | b'?' | 0x7f | 0xc0 | 0xc1)
}

fn escaped(digits: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(digits).ok()?;
    let hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    hexadecimal
        .then(|| u8::from_str_radix(digits, 16).ok())
        .flatten()
}

/// `.` or `..`, maybe encoded, maybe with a parameter.
fn is_dots(segment: &str) -> bool {
    let decoded = segment
        .to_ascii_lowercase()
        .replace("%2e", ".")
        .replace("%3b", ";");
    let name = decoded.split(';').next().unwrap_or_default();
    matches!(name, "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safety_71_paths_that_others_read_otherwise_are_odd() {
        let odd = [
            "/static/../account",
            "/static/..",
            "/static/./a",
            "/static/%2e%2e/account",
            "/static/.%2E/a",
            "/static/..%2faccount",
            "/static/%2Faccount",
            "/a%5c..%5cb",
            "/a\\b",
            "/a%00.css",
            "/a%0a.css",
            "/a%252e",
            "/a%23.css",
            "/a%3fx.css",
            "/static/..;/account",
            "/static/..;x=1/a",
            "/static/..%3b/a",
            "/a%c0%ae%c0%ae/b",
            "/a%u002e",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%7f",
            "/a%09",
        ];
        for path in odd {
            assert!(is_odd(path), "{path}");
        }
        let plain = [
            "/",
            "/a.css",
            "/a..b/c",
            "/.well-known/x",
            "/...",
            "/a%20b",
            "/caf%C3%A9",
            "/a%2ecss",
            "/a;v=1",
            "/a%3bb",
            "//a",
            "/a%40b",
            "/~a",
        ];
        for path in plain {
            assert!(!is_odd(path), "{path}");
        }
        assert!(has_parameter("/a;x") && has_parameter("/a%3Bx") && !has_parameter("/a"));
    }
}
