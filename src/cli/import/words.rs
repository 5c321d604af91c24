//! Words as systemd makes them of a setting and of variables (systemd.service(5), "Command lines"; systemd.exec(5)).

use std::collections::BTreeMap;

/// Variables by their names.
pub type Variables = BTreeMap<String, String>;

/// One word, and why what systemd makes of it is not known here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Word {
    /// What it says, as far as that is known.
    pub text: String,
    /// Why that is not all.
    pub doubt: Option<String>,
}

impl Word {
    /// A word that is known.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            doubt: None,
        }
    }
}

/// Splits at white space; quotes and escapes are undone. An escape that is none stays as it is, as systemd leaves it.
///
/// # Errors
/// A quote without an end.
pub fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some(end), _) if c == end => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (_, '\\') => {
                let word = word.get_or_insert_default();
                let (bytes, left) = unescape(rest.as_str());
                word.extend(bytes);
                rest = left.chars();
            }
            (None, c) if c.is_ascii_whitespace() => words.extend(word.take()),
            _ => {
                let mut bytes = [0; 4];
                let word = word.get_or_insert_default();
                word.extend(c.encode_utf8(&mut bytes).bytes());
            }
        }
    }
    if quote.is_some() {
        return Err("a quote has no end".into());
    }
    words.extend(word);
    let text = |word: Vec<u8>| String::from_utf8_lossy(&word).into_owned();
    Ok(words.into_iter().map(text).collect())
}

/// What stands behind a backslash, undone, and what follows it.
fn unescape(text: &str) -> (Vec<u8>, &str) {
    let one = |c: char| -> Option<u8> {
        Some(match c {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            's' => b' ',
            '\\' | '"' | '\'' => u8::try_from(c).ok()?,
            _ => return None,
        })
    };
    let number = |skip: usize, digits: usize, base: u32| -> Option<(u32, &str)> {
        let digits = text.get(skip..skip + digits)?;
        let fits = digits.chars().all(|c| c.is_digit(base));
        let value = u32::from_str_radix(digits, base).ok().filter(|v| *v > 0);
        Some((value.filter(|_| fits)?, text.get(skip + digits.len()..)?))
    };
    let verbatim = || (vec![b'\\'], text);
    let byte = |found: Option<(u32, &str)>| -> Option<(Vec<u8>, usize)> {
        let (value, rest) = found?;
        Some((vec![u8::try_from(value).ok()?], rest.len()))
    };
    let letter = |found: Option<(u32, &str)>| -> Option<(Vec<u8>, usize)> {
        let (value, rest) = found?;
        Some((char::from_u32(value)?.to_string().into_bytes(), rest.len()))
    };
    let Some(first) = text.chars().next() else {
        return verbatim();
    };
    let found = match first {
        'x' => byte(number(1, 2, 16)),
        'u' => letter(number(1, 4, 16)),
        'U' => letter(number(1, 8, 16)),
        '0'..='7' => byte(number(0, 3, 8)),
        c => one(c).map(|byte| (vec![byte], text.len() - c.len_utf8())),
    };
    let rest = |left: usize| text.get(text.len() - left..).unwrap_or_default();
    found.map_or_else(verbatim, |(bytes, left)| (bytes, rest(left)))
}

/// The word without its specifiers: `%%` is a percent sign, and of others only systemd knows what they stand for.
#[must_use]
pub fn specified(text: &str) -> Word {
    let mut word = Word::default();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            word.text.push(c);
            continue;
        }
        match rest.next() {
            Some('%') => word.text.push('%'),
            Some(specifier) => {
                word.text.push('%');
                word.text.push(specifier);
                word.doubt = Some(format!(
                    "it has the specifier %{specifier}, which systemd alone knows"
                ));
            }
            None => word.text.push('%'),
        }
    }
    word
}

/// Words with their variables put in: `$NAME` as a word of its own becomes any number of words, `${NAME}` stays within its word,
/// `$$` is a dollar sign. What is not set is empty, and told to `unset`.
///
/// # Errors
/// The value of a variable that is a word of its own is not to be split.
pub fn expand(
    words: Vec<Word>,
    variables: &Variables,
    unset: &mut Vec<String>,
) -> Result<Vec<Word>, String> {
    let mut value = |name: &str| match variables.get(name) {
        Some(value) => value.clone(),
        None => {
            if !unset.iter().any(|known| known == name) {
                unset.push(name.to_owned());
            }
            String::new()
        }
    };
    let mut all = Vec::new();
    for word in words {
        let name = word.text.strip_prefix('$');
        if let Some(name) = name.filter(|name| is_name(name)) {
            let split = split(&value(name));
            let split = split.map_err(|why| format!("the value of ${name}: {why}"))?;
            all.extend(split.into_iter().map(Word::plain));
            continue;
        }
        let mut text = String::new();
        let mut rest = word.text.as_str();
        while let Some((before, behind)) = rest.split_once('$') {
            text.push_str(before);
            let braced = behind.strip_prefix('{').and_then(|in_| in_.split_once('}'));
            if let Some((name, after)) = braced {
                text.push_str(&value(name));
                rest = after;
            } else {
                text.push('$');
                rest = behind.strip_prefix('$').unwrap_or(behind);
            }
        }
        text.push_str(rest);
        all.push(Word { text, ..word });
    }
    Ok(all)
}

/// Whether a variable may be called so.
pub(super) fn is_name(text: &str) -> bool {
    let first = text.bytes().next();
    first.is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_systemd_splits_them() {
        for (text, words) in [
            ("", &[][..]),
            ("  a\tb  ", &["a", "b"]),
            ("a\"b c\"d 'e \"f' \"\"", &["ab cd", "e \"f", ""]),
            ("--x=\"^/(a|b)($|/)\"", &["--x=^/(a|b)($|/)"]),
            (r"a\sb \x41\102\u00e4\U0001F600 \t", &["a b", "ABä😀", "\t"]),
            (
                r#""q\"q" '\'' \\d \d \x4 \u12"#,
                &["q\"q", "'", "\\d", "\\d", "\\x4", "\\u12"],
            ),
            ("end\\", &["end\\"]),
        ] {
            assert_eq!(split(text).unwrap(), words, "{text}");
        }
        assert!(split("a \"b").is_err());
    }

    #[test]
    fn specifiers_are_told_and_not_guessed() {
        assert_eq!(specified("50%%"), Word::plain("50%"));
        let word = specified("--x=%i");
        assert_eq!(word.text, "--x=%i");
        assert!(word.doubt.unwrap().contains("%i"));
    }

    #[test]
    fn variables_are_words_or_parts_of_one() {
        let variables = [("ARGS", "--a --b=\"c d\""), ("X", "x y"), ("E", "")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut unset = Vec::new();
        let mut told = |words: &[&str]| -> Vec<String> {
            let words = words.iter().map(|word| Word::plain(*word)).collect();
            let all = expand(words, &variables.clone().into(), &mut unset).unwrap();
            all.into_iter().map(|word| word.text).collect()
        };
        assert_eq!(told(&["$ARGS", "$E", "z"]), ["--a", "--b=c d", "z"]);
        assert_eq!(
            told(&["${ARGS}", "p${X}q", "${E}"]),
            ["--a --b=\"c d\"", "px yq", ""]
        );
        assert_eq!(
            told(&["a$X", "($|/)", "$$X", "c$"]),
            ["a$X", "($|/)", "$X", "c$"]
        );
        assert_eq!(told(&["$NONE", "${NONE}"]), [""]);
        assert_eq!(unset, ["NONE"]);
    }
}
