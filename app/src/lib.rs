//! Calls from the terminal: the program's library. `main.rs` parses arguments and runs it; tests drive its parts.
//!
//! [`event`] is all that can happen, [`effect`] all the program may do, [`report`] what the outside is told.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::unwrap_used,
        reason = "tests begin their virtual clock at one real reading, and a failed one says where"
    )
)]

pub mod attach;
pub mod attention;
pub mod backup;
pub mod call;
pub mod calls;
pub mod choice;
pub mod cli;
pub mod command;
pub mod config;
pub mod control;
pub mod conversation;
pub mod demo;
pub mod devices;
pub mod doctor;
pub mod effect;
pub mod event;
pub mod foreground;
pub mod front;
pub mod group_call;
pub mod groups;
pub mod keymap;
pub mod layers;
pub mod levels;
pub mod log;
pub mod manual;
pub mod mirror;
pub mod model;
pub mod net;
pub mod participant;
pub mod people;
pub mod picture;
pub mod plain;
pub mod profile;
pub mod program;
pub mod qr;
pub mod quality;
pub mod report;
pub mod run;
pub mod screen;
pub mod seat;
pub mod serve;
pub mod small;
pub mod sound_test;
pub mod status;
pub mod talk;
pub mod terminal;
pub mod text;
pub mod threads;
pub mod update;
pub mod view;
