//! The MolmoAct2 vision-language-action model.
