//! What is read from the machine: one room a subject, holding its reading, its names and its three tellings.
