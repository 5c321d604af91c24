//! Whether an answer of nodeward's is one that an agent could have given meanwhile.

use serde_json::Value;

/// How an answer is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The same text; for numbers that move: between two answers of one agent.
    Same,
    /// A percentage with six decimals; the agents' own windows differ, so its value is not compared.
    Percent,
    /// The same of more CPUs than one.
    Rate,
    /// The same JSON, except what only newer agents tell.
    Json,
    /// The same JSON in any order: the agents differ there.
    Set,
    /// The same JSON, with each number between two of the agent's; a list of nothing shows nothing, and fails.
    Between,
    /// The same mounts in the same order, with the same total sizes.
    Mounts,
    /// An error that is the same as far as it is the agent's own, and not its library's for regular expressions.
    Expression,
}

/// The two decimals that are lost where an agent has six of them.
const ROUNDED: f64 = 1e-6;

impl Told {
    /// The most that a value that is not compared may be, if it is such a one.
    pub fn most(self) -> Option<f64> {
        match self {
            Self::Percent => Some(100.0),
            Self::Rate => Some(1e6),
            _ => None,
        }
    }

    /// Whether `mine` fits two answers of one agent.
    pub fn agrees(self, before: &str, mine: &str, after: &str) -> bool {
        match self {
            Self::Same => before == mine || after == mine || between(before, mine, after),
            Self::Percent | Self::Rate => self.most().is_some_and(|most| percent(mine, most)),
            Self::Json => json(before, mine).is_some_and(|(theirs, mine)| theirs == mine),
            Self::Set => match json(before, mine) {
                Some((Value::Array(theirs), Value::Array(mine))) => {
                    let all =
                        |one: &[Value], other: &[Value]| one.iter().all(|row| other.contains(row));
                    theirs.len() == mine.len() && all(&theirs, &mine) && all(&mine, &theirs)
                }
                _ => false,
            },
            Self::Between => match [before, mine, after].map(serde_json::from_str) {
                [Ok(before), Ok(mine), Ok(after)] => {
                    before != Value::Array(Vec::new()) && encloses(&before, &mine, &after)
                }
                _ => false,
            },
            Self::Mounts => match (mounts(before), mounts(mine)) {
                (Some(theirs), Some(mine)) => {
                    theirs.len() == mine.len() && theirs.iter().zip(&mine).all(|(t, m)| t.is(m))
                }
                _ => false,
            },
            Self::Expression => match (own_words(before), own_words(mine)) {
                (Some(theirs), Some(mine)) => theirs == mine,
                _ => false,
            },
        }
    }
}

/// Whether a number lies between two of an agent's, give or take the last of its six decimals.
fn between(before: &str, mine: &str, after: &str) -> bool {
    match [before, mine, after].map(str::parse) {
        [Ok(before), Ok(mine), Ok(after)] => within(before, mine, after),
        _ => false,
    }
}

fn within(before: f64, mine: f64, after: f64) -> bool {
    (before.min(after) - ROUNDED..=before.max(after) + ROUNDED).contains(&mine)
}

/// A number with six decimals.
pub fn percent(text: &str, most: f64) -> bool {
    let decimals = text.split_once('.').map(|(_, decimals)| decimals.len());
    let value = text.parse::<f64>();
    decimals == Some(6) && value.is_ok_and(|value| (0.0..=most).contains(&value))
}

/// What an agent and ours discover, without the macro that only agents after 6.0 tell.
fn json(theirs: &str, mine: &str) -> Option<(Value, Value)> {
    let theirs: Value = serde_json::from_str(theirs).ok()?;
    let mut mine: Value = serde_json::from_str(mine).ok()?;
    for row in mine.as_array_mut().into_iter().flatten() {
        if !theirs.to_string().contains("{#FSOPTIONS}") {
            row.as_object_mut()?.remove("{#FSOPTIONS}");
        }
    }
    Some((theirs, mine))
}

/// Whether a number is at most an eighth away from two of an agent's.
fn near(before: &Value, mine: &Value, after: &Value) -> bool {
    match [before, mine, after].map(Value::as_f64) {
        [Some(before), Some(mine), Some(after)] => {
            (before.min(after) * 0.875..=before.max(after) * 1.125).contains(&mine)
        }
        _ => false,
    }
}

fn encloses(before: &Value, mine: &Value, after: &Value) -> bool {
    match (before, mine, after) {
        (Value::Number(before), Value::Number(mine), Value::Number(after)) => {
            match [before, mine, after].map(serde_json::Number::as_f64) {
                [Some(before), Some(mine), Some(after)] => within(before, mine, after),
                _ => false,
            }
        }
        (Value::Array(before), Value::Array(mine), Value::Array(after)) => {
            let both = before.iter().zip(after);
            [before.len(), after.len()] == [mine.len(); 2]
                && mine.iter().zip(both).all(|(m, (b, a))| encloses(b, m, a))
        }
        (Value::Object(before), Value::Object(mine), Value::Object(after)) => {
            [before.len(), after.len()] == [mine.len(); 2]
                && mine
                    .iter()
                    .all(|(name, mine)| match (before.get(name), after.get(name)) {
                        // It moves whenever some other process begins or ends.
                        (Some(before), Some(after)) if name == "pss" => near(before, mine, after),
                        (Some(before), Some(after)) => encloses(before, mine, after),
                        _ => false,
                    })
        }
        _ => mine == before || mine == after,
    }
}

/// A mount of vfs.fs.get.
#[derive(PartialEq, Eq)]
struct Mount {
    name: String,
    kind: String,
    total: u64,
    /// Agents of 6.0 do not tell them.
    options: Option<String>,
}

impl Mount {
    fn is(&self, mine: &Self) -> bool {
        let same = self.options.is_none() || self.options == mine.options;
        same && (&self.name, &self.kind, self.total) == (&mine.name, &mine.kind, mine.total)
    }
}

fn mounts(text: &str) -> Option<Vec<Mount>> {
    let value: Value = serde_json::from_str(text).ok()?;
    let row = |row: &Value| {
        let text = |name: &str| Some(row.get(name)?.as_str()?.to_owned());
        Some(Mount {
            name: text("fsname")?,
            kind: text("fstype")?,
            total: row.get("bytes")?.get("total")?.as_u64()?,
            options: text("options"),
        })
    };
    value.as_array()?.iter().map(row).collect()
}

/// What comes before the words of the library.
fn own_words(text: &str) -> Option<&str> {
    let error = text.strip_prefix("ZBX_NOTSUPPORTED: ")?;
    let (own, _) = error.split_once(" parameter: ")?;
    own.starts_with("Invalid regular expression in ")
        .then_some(own)
}
