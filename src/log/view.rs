//! (docs)
#[derive(Debug)]
pub(crate) struct View;
#[derive(Debug)]
pub(crate) struct Views;
#[derive(Debug)]
pub(crate) struct Judgement;
