//! Lists of kinds among which the config chooses one.

/// Declares an enum with a kind a line, as `{kind: {...}}` in the config; the options of each implement the trait named.
///
/// Its items: the enum, `KINDS` (the names), and its methods `kind` and `options`.
#[macro_export]
macro_rules! kinds {
    (
        $(#[$about:meta])* $choice:ident of $kind:ident;
        $($name:ident: $variant:ident($options:ty) $means:literal;)*
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $choice {
            $(#[doc = $means] $variant($options),)*
        }

        /// The kinds there are.
        pub static KINDS: &[&str] = &[$(stringify!($name)),*];

        impl $choice {
            /// Its kind, as it stands in the config.
            #[must_use]
            pub const fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => stringify!($name),)*
                }
            }

            /// Its options.
            #[must_use]
            pub fn options(&self) -> &dyn $kind {
                match self {
                    $(Self::$variant(options) => options,)*
                }
            }
        }
    };
}
