//! [`mask_tickets`]: what of a request may be written down.

use std::borrow::Cow;

/// `target`, a URL or its path and query, with `***` for each ticket: for logs, as who reads a ticket there could listen.
///
/// ```
/// use tower_tagcache::live::mask_tickets;
///
/// assert_eq!(mask_tickets("/events?ticket=abc&type=sale"), "/events?ticket=***&type=sale");
/// ```
#[must_use]
pub fn mask_tickets(target: &str) -> Cow<'_, str> {
    let Some((path, query)) = target.split_once('?') else {
        return Cow::Borrowed(target);
    };
    if !query.split('&').any(is_ticket) {
        return Cow::Borrowed(target);
    }
    let mask = |parameter| match parameter {
        ticket if is_ticket(ticket) => "ticket=***",
        other => other,
    };
    let masked: Vec<_> = query.split('&').map(mask).collect();
    Cow::Owned(format!("{path}?{}", masked.join("&")))
}

/// Whether a parameter is a ticket, however its name is written: one with a mistake in it is one as well.
fn is_ticket(parameter: &str) -> bool {
    let named = form_urlencoded::parse(parameter.as_bytes()).next();
    named.is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case("ticket"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_masked_however_it_is_written_and_nothing_else_is() {
        for (target, shown) in [
            ("/events", "/events"),
            ("/events?", "/events?"),
            ("/events?type=sale&x", "/events?type=sale&x"),
            ("/events?ticket=a.b.c", "/events?ticket=***"),
            ("/events?a=1&ticket=s&b=%22", "/events?a=1&ticket=***&b=%22"),
            ("/e?ticket=s&ticket=t", "/e?ticket=***&ticket=***"),
            ("/e?%74icke%74=s", "/e?ticket=***"),
            ("/e?TICKET=s&+ticket=s", "/e?ticket=***&ticket=***"),
            ("/e?tickets=5&a=ticket", "/e?tickets=5&a=ticket"),
            (
                "http://h/e?x?ticket=s&ticket=t",
                "http://h/e?x?ticket=s&ticket=***",
            ),
            ("/ticket=s", "/ticket=s"),
        ] {
            assert_eq!(mask_tickets(target), shown);
        }
    }
}
