//! OpenFAST action tokens: action chunk <-> token ids.
