//! The only reader of the machine: roots, kept files, lenient parsers, calls that can hang.
