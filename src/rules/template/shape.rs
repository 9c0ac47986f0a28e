//! What the tags of a template look like, to tell whether those of another can ever be the same.

use super::{Normaliser, Segment, Template};

/// The sections of a template's tags between their colons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape(Vec<Section>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Section {
    Literal(String),
    /// One value and nothing else.
    Value(Normaliser),
    /// Text and values, or several values.
    Mixed(Vec<Piece>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(Normaliser),
}

/// Why tags of two shapes do not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Apart {
    /// They have different texts in the same place, or another number of sections.
    Text,
    /// They write one value in two ways.
    Normalisers(Normaliser, Normaliser),
}

impl<S> Template<S> {
    /// The shape of its tags.
    pub(crate) fn shape(&self) -> Shape {
        let mut sections: Vec<Option<Section>> = vec![None];
        let add = |section: &mut Option<Section>, more: Section| {
            *section = Some(match (section.take(), more) {
                (None, more) => more,
                (Some(Section::Literal(text)), Section::Literal(more)) => {
                    Section::Literal(text + &more)
                }
                (Some(section), more) => Section::Mixed([section.pieces(), more.pieces()].concat()),
            });
        };
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => {
                    for (place, piece) in text.split(':').enumerate() {
                        if place > 0 {
                            sections.push(None);
                        }
                        if let Some(section) = sections.last_mut().filter(|_| !piece.is_empty()) {
                            add(section, Section::Literal(piece.to_owned()));
                        }
                    }
                }
                Segment::Placeholder { normaliser, .. } => {
                    if let Some(section) = sections.last_mut() {
                        add(section, Section::Value(*normaliser));
                    }
                }
            }
        }
        let empty = || Section::Literal(String::new());
        let sections = sections
            .into_iter()
            .map(|section| section.unwrap_or_else(empty));
        Shape(sections.collect())
    }
}

impl Shape {
    /// Whether a tag of this shape may be one of `other`'s.
    ///
    /// # Errors
    /// Why it cannot, or will not for all values.
    pub(crate) fn meets(&self, other: &Self) -> Result<(), Apart> {
        if self.0.len() != other.0.len() {
            return Err(Apart::Text);
        }
        let mut apart = None;
        for (own, theirs) in self.0.iter().zip(&other.0) {
            match (own, theirs) {
                (Section::Mixed(_), _) | (_, Section::Mixed(_)) => {
                    match both(&own.pieces(), &theirs.pieces()) {
                        Err(Apart::Text) => return Err(Apart::Text),
                        met => apart = apart.or(met.err()),
                    }
                }
                (Section::Literal(a), Section::Literal(b)) if a == b => {}
                (Section::Literal(_), Section::Literal(_)) => return Err(Apart::Text),
                (Section::Literal(text), Section::Value(normaliser))
                | (Section::Value(normaliser), Section::Literal(text)) => {
                    let written = normaliser.apply(text.as_str().into());
                    if written.as_deref() != Some(text) {
                        return Err(Apart::Text);
                    }
                }
                (Section::Value(a), Section::Value(b)) if a.agrees_with(*b) => {}
                (Section::Value(a), Section::Value(b)) => {
                    apart = apart.or(Some(Apart::Normalisers(*a, *b)));
                }
            }
        }
        apart.map_or(Ok(()), Err)
    }

    /// Whether its tags are of `family`, as far as that can be told.
    pub(crate) fn may_begin_with(&self, family: &str) -> bool {
        match self.0.first() {
            Some(Section::Literal(text)) => text == family,
            _ => true,
        }
    }

    /// Whether it is one text without values.
    pub(crate) fn is_literal(&self) -> bool {
        self.0
            .iter()
            .all(|section| matches!(section, Section::Literal(_)))
    }
}

impl Section {
    fn pieces(&self) -> Vec<Piece> {
        match self {
            Self::Literal(text) => vec![Piece::Text(text.clone())],
            Self::Value(normaliser) => vec![Piece::Value(*normaliser)],
            Self::Mixed(pieces) => pieces.clone(),
        }
    }
}

/// Whether two sections of which one is text with values can be the same: by their normalisers, where both have
/// the same texts in the same places, and by how they begin and end otherwise.
fn both(own: &[Piece], theirs: &[Piece]) -> Result<(), Apart> {
    let mut apart = None;
    let alike = |(a, b): (&Piece, &Piece)| match (a, b) {
        (Piece::Value(a), Piece::Value(b)) => {
            let differ = (!a.agrees_with(*b)).then_some(Apart::Normalisers(*a, *b));
            apart = apart.or(differ);
            true
        }
        (a, b) => a == b,
    };
    if own.len() == theirs.len() && own.iter().zip(theirs).all(alike) {
        return apart.map_or(Ok(()), Err);
    }
    let least = |piece: &Piece| match piece {
        Piece::Text(text) => text.len(),
        Piece::Value(_) => 1,
    };
    let is_short = |text: &[Piece], other: &[Piece]| match text {
        [Piece::Text(text)] => text.len() < other.iter().map(least).sum(),
        _ => false,
    };
    if is_short(own, theirs) || is_short(theirs, own) {
        return Err(Apart::Text);
    }
    let text = |piece: Option<&Piece>| match piece {
        Some(Piece::Text(text)) => text.clone(),
        _ => String::new(),
    };
    let (a, b) = (text(own.first()), text(theirs.first()));
    let begin = a.starts_with(&b) || b.starts_with(&a);
    let (a, b) = (text(own.last()), text(theirs.last()));
    let end = a.ends_with(&b) || b.ends_with(&a);
    if begin && end {
        Ok(())
    } else {
        Err(Apart::Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safety_105_templates_whose_tags_never_meet_are_told_apart() {
        let shape = |text: &str| {
            let any = |_: &str| Ok::<_, String>(());
            Template::parse(text, any).unwrap().shape()
        };
        let both = |a, b| Err(Apart::Normalisers(a, b));
        for (rule, event, expected) in [
            ("item:{id}", "item:{after.id}", Ok(())),
            ("item:{id:address}", "item:{a}", Ok(())),
            ("item:{id:address}", "item:{a:lower}", Ok(())),
            ("item:{id:int}", "item:{a:int}", Ok(())),
            (
                "item:{id:int}",
                "item:{a}",
                both(Normaliser::Int, Normaliser::Auto),
            ),
            (
                "item:{id:upper}",
                "item:{a:lower}",
                both(Normaliser::Upper, Normaliser::Lower),
            ),
            (
                "item:{id:upper}",
                "item:{a:address}",
                both(Normaliser::Upper, Normaliser::Address),
            ),
            ("item:{id}", "items:{a}", Err(Apart::Text)),
            ("item:{id}:bids", "item:{a}", Err(Apart::Text)),
            ("item:{id}", "item:all", Ok(())),
            ("item:{id:int}", "item:all", Err(Apart::Text)),
            ("item:{id:upper}", "item:all", Err(Apart::Text)),
            ("items", "items", Ok(())),
            ("items", "item", Err(Apart::Text)),
            ("item:v{id:int}", "item:{a}", Ok(())),
            (
                "item:v{id:int}",
                "item:v{a}",
                both(Normaliser::Int, Normaliser::Auto),
            ),
            (
                "item-{id:lower}",
                "item-{a:upper}",
                both(Normaliser::Lower, Normaliser::Upper),
            ),
            ("item-{id}", "item-{a}", Ok(())),
            ("item-{id}", "bid-{a}", Err(Apart::Text)),
            ("{id}-item", "{a}-bid", Err(Apart::Text)),
            ("item-{id}", "item", Err(Apart::Text)),
            ("item-{id}", "item-all", Ok(())),
            ("item-{id}-{x}", "item-{a}", Ok(())),
            (
                "{a}{b:int}",
                "{a}{b}",
                both(Normaliser::Int, Normaliser::Auto),
            ),
            ("{kind}:{id}", "item:{a}", Ok(())),
        ] {
            let met = shape(rule).meets(&shape(event));
            assert_eq!(met, expected, "{rule} and {event}");
        }
    }
}
