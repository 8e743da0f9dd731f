//! The program as a person or a script meets it: arguments in, stdout, stderr and an exit code out.

mod program;
mod damage;
mod folder;
mod inspect;
mod repair;

mod verify;
mod plan_check;
mod usage;
mod sale;
mod house;
mod backup;
mod cart;
