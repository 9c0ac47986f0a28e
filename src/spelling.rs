//! What a misspelt word was probably meant to be.

/// The one of `known` that `word` was probably meant to be.
pub(crate) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let allowed = (word.chars().count() / 2).clamp(1, 3);
    let near = known.iter().map(|known| (distance(word, known), *known));
    let near = near.filter(|(distance, _)| *distance <= allowed).min();
    near.map(|(_, known)| known)
}

/// How many characters have to be put in, left out or replaced to make `a` into `b` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.chars().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[row.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_if_it_is_near() {
        for (word, near) in [
            ("tll", Some("ttl")),
            ("rout", Some("route")),
            ("route", Some("route")),
            ("stale_while_revalidat", Some("stale_while_revalidate")),
            ("banana", None),
        ] {
            let known = ["ttl", "route", "stale_while_revalidate", "name"];
            assert_eq!(nearest(word, &known), near, "{word}");
        }
    }
}
