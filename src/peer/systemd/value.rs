//! A property value of a unit, free of D-Bus types, so that nothing above needs zbus.

use zbus::Variant;

/// The value of one property.
///
/// All unsigned D-Bus integers become [`Value::U64`], all signed ones [`Value::I64`]; object paths
/// and signatures become [`Value::Str`].
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `b`.
    Bool(bool),
    /// `y`, `q`, `u`, `t`. Times are microseconds; a limit that is off is `u64::MAX`.
    U64(u64),
    /// `n`, `i`, `x`.
    I64(i64),
    /// `d`.
    F64(f64),
    /// `s`, `o`, `g`.
    Str(String),
    /// `ay`, for example an invocation ID.
    Bytes(Vec<u8>),
    /// An array of anything but bytes.
    Array(Vec<Value>),
    /// A structure: fields by position.
    Struct(Vec<Value>),
    /// A dictionary, in the order sent.
    Dict(Vec<(Value, Value)>),
    /// A file descriptor, which is never accepted.
    Descriptor,
}

impl Value {
    /// The text, if the value is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if the value is an integer that is not negative.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::U64(number) => Some(*number),
            Self::I64(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// The truth value, if the value is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The texts, if the value is an array of texts.
    #[must_use]
    pub fn as_strs(&self) -> Option<Vec<&str>> {
        match self {
            Self::Array(values) => values.iter().map(Self::as_str).collect(),
            _ => None,
        }
    }
}

impl From<&Variant<'_>> for Value {
    // Recursion is bounded: zbus refuses values nested deeper than 64 (D-Bus specification,
    // "Valid Signatures").
    fn from(variant: &Variant<'_>) -> Self {
        match variant {
            Variant::Bool(truth) => Self::Bool(*truth),
            Variant::U8(number) => Self::U64(u64::from(*number)),
            Variant::U16(number) => Self::U64(u64::from(*number)),
            Variant::U32(number) => Self::U64(u64::from(*number)),
            Variant::U64(number) => Self::U64(*number),
            Variant::I16(number) => Self::I64(i64::from(*number)),
            Variant::I32(number) => Self::I64(i64::from(*number)),
            Variant::I64(number) => Self::I64(*number),
            Variant::F64(number) => Self::F64(*number),
            Variant::Str(text) => Self::Str(text.as_str().to_owned()),
            Variant::ObjectPath(path) => Self::Str(path.as_str().to_owned()),
            Variant::Signature(signature) => Self::Str(signature.to_string()),
            Variant::Variant(inner) => Self::from(&**inner),
            Variant::Array(array) => match bytes(array.inner()) {
                Some(bytes) if !bytes.is_empty() => Self::Bytes(bytes),
                _ if *array.element_signature() == zbus::Signature::U8 => Self::Bytes(Vec::new()),
                _ => Self::Array(array.inner().iter().map(Self::from).collect()),
            },
            Variant::Structure(fields) => {
                Self::Struct(fields.fields().iter().map(Self::from).collect())
            }
            Variant::Dict(entries) => Self::Dict(
                entries
                    .iter()
                    .map(|(k, v)| (Self::from(k), Self::from(v)))
                    .collect(),
            ),
            Variant::Fd(_) => Self::Descriptor,
        }
    }
}

fn bytes(elements: &[Variant<'_>]) -> Option<Vec<u8>> {
    let byte = |element: &Variant<'_>| match element {
        Variant::U8(byte) => Some(*byte),
        _ => None,
    };
    elements.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_integer_keeps_its_value_and_its_sign() {
        assert_eq!(Value::from(&Variant::U8(255)), Value::U64(255));
        assert_eq!(Value::from(&Variant::U64(u64::MAX)), Value::U64(u64::MAX));
        assert_eq!(Value::from(&Variant::I16(-7)), Value::I64(-7));
        assert_eq!(Value::I64(-7).as_u64(), None);
        assert_eq!(Value::I64(7).as_u64(), Some(7));
    }

    #[test]
    fn arrays_of_bytes_and_of_texts_are_told_apart_even_when_empty() {
        let none: [u8; 0] = [];
        assert_eq!(
            Value::from(&Variant::from(none.as_slice())),
            Value::Bytes(Vec::new())
        );
        assert_eq!(
            Value::from(&Variant::from([1_u8, 2].as_slice())),
            Value::Bytes(vec![1, 2])
        );
        let texts = Value::from(&Variant::from(["a", "b"].as_slice()));
        assert_eq!(texts.as_strs(), Some(vec!["a", "b"]));
        let none: [&str; 0] = [];
        assert_eq!(
            Value::from(&Variant::from(none.as_slice())),
            Value::Array(Vec::new())
        );
    }

    #[test]
    fn structures_keep_their_fields_in_order() {
        let job = Value::from(&Variant::from((7_u32, "x", true)));
        let fields = vec![Value::U64(7), Value::Str("x".to_owned()), Value::Bool(true)];
        assert_eq!(job, Value::Struct(fields));
    }
}
