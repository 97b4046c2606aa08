//! The program from outside: what is typed, what comes out, how it ends. A module for each command or theme.

mod arguments;
mod check;
mod check_outputs;
mod config;
mod credentials;
mod explain;
mod layers;
mod manual;
mod sandbox;
mod signals;
mod support;
