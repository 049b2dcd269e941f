//! As much of JSON as is needed to find one's way through a message, without making anything of it.

/// The members of an object: their names, without quotes, and their values as they stand.
pub(crate) fn members(object: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut values = Values { text: object, at: 1 };
    std::iter::from_fn(move || {
        let name = text(values.next()?)?;
        Some((name, values.next()?))
    })
}

/// The elements of an array, as they stand.
pub(crate) fn elements(array: &[u8]) -> impl Iterator<Item = &[u8]> {
    Values { text: array, at: 1 }
}

/// What stands between the quotes of a string. The strings that are looked at have no escapes.
pub(crate) fn text(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

/// The values one after the other, whatever stands between them.
struct Values<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while self.text.get(self.at).is_some_and(|byte| b" \t\r\n,:".contains(byte)) {
            self.at += 1;
        }
        let end = end(self.text, self.at)?;
        let value = &self.text[self.at..end];
        self.at = end;
        Some(value)
    }
}

/// Where the value that begins at `at` ends; none if no value begins there, or it does not end.
fn end(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' => end_of_string(text, at),
        b'{' | b'[' => end_of_nest(text, at),
        b'}' | b']' => None,
        _ => {
            let rest = &text[at..];
            let length = rest.iter().position(|byte| b" \t\r\n,:}]".contains(byte));
            Some(at + length.unwrap_or(rest.len()))
        }
    }
}

fn end_of_string(text: &[u8], at: usize) -> Option<usize> {
    let mut place = at + 1;
    loop {
        match text.get(place)? {
            b'"' => return Some(place + 1),
            b'\\' => place += 2,
            _ => place += 1,
        }
    }
}

fn end_of_nest(text: &[u8], at: usize) -> Option<usize> {
    let (mut place, mut depth) = (at, 0_usize);
    loop {
        match text.get(place)? {
            b'"' => {
                place = end_of_string(text, place)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        place += 1;
        if depth == 0 {
            return Some(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_taken_apart() {
        let message = br#"{"type":"delta","id":"0","position":"p","changes":[[-1,["a \"]\\",null]],[1,["b",{"c":[]}]]]}"#;
        let found: Vec<_> = members(message).collect();
        assert_eq!(found.len(), 4);
        assert_eq!(found[0], (&b"type"[..], &b"\"delta\""[..]));
        assert_eq!(text(found[2].1), Some(&b"p"[..]));
        let changes: Vec<Vec<&[u8]>> =
            elements(found[3].1).map(|change| elements(change).collect()).collect();
        assert_eq!(
            changes,
            [
                vec![&b"-1"[..], &br#"["a \"]\\",null]"#[..]],
                vec![&b"1"[..], &br#"["b",{"c":[]}]"#[..]],
            ]
        );
    }

    #[test]
    fn what_is_no_whole_value_ends_it() {
        assert_eq!(members(b"{}").count(), 0);
        assert_eq!(elements(b"[]").count(), 0);
        assert_eq!(elements(b"[1, \"a\" ,[2").count(), 2);
        assert_eq!(members(br#"{ "a" : true , "b" : -1.5 }"#).count(), 2);
    }
}
