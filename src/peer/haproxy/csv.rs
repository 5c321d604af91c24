//! HAProxy's CSV (management guide section 9.1): commas, quotes where needed, a quote within doubled. A first line of `# ` and the names.

/// The rows, each a list of fields; the first are the names. Text after a closing quote counts to its field.
pub(super) fn rows(text: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let mut begun = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => {
                quoted = true;
                begun = true;
            }
            ',' if !quoted => {
                row.push(std::mem::take(&mut field));
                begun = true;
            }
            '\n' if !quoted => {
                if begun || !field.is_empty() {
                    row.push(std::mem::take(&mut field));
                    rows.push(std::mem::take(&mut row));
                }
                begun = false;
            }
            c => field.push(c),
        }
    }
    // What no line ends is no row: it was cut off.
    rows
}
