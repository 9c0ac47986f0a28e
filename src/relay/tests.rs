mod model;
mod region;
mod steps;
