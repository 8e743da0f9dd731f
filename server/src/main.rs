//! `usherd`: parses, boots, waits for a signal, stops.

mod ready_memory;

use std::{io, process::ExitCode, sync::mpsc, thread};

use server::{
    StartFault,
    boot::{Options, Running, boot},
    config::{Config, ConfigFault, Effective, command},
    logs,
};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

// Measured against the system's: fewer page faults under many small answers.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let matches = command().get_matches();
    let (effective, config) = match configure(&matches) {
        Ok(configured) => configured,
        Err(fault) => return refuse(&fault.into()),
    };
    if matches.get_flag("check-config") {
        print!("{effective}");
        return ExitCode::SUCCESS;
    }
    logs::begin(&config);
    // Before anything else: a signal that comes while the log is read must not be lost.
    let stop = match stop_signal() {
        Ok(stop) => stop,
        Err(error) => {
            eprintln!("usherd: no signal can be waited for: {error}");
            return ExitCode::from(server::EXIT_OS);
        }
    };
    if let Err(fault) = ready_memory(&config) {
        return refuse(&fault);
    }
    match boot(&config, Options::default()) {
        Ok(running) => {
            logs::settings(&effective);
            serve(running, &stop)
        }
        Err(fault) => refuse(&fault),
    }
}

fn configure(matches: &clap::ArgMatches) -> Result<(Effective, Config), ConfigFault> {
    let effective = Effective::gather(matches)?;
    let config = effective.config()?;
    Ok((effective, config))
}

fn ready_memory(config: &Config) -> Result<(), StartFault> {
    if config.memory_ready_bytes > 0 {
        let time = ready_memory::touch(config.memory_ready_bytes).map_err(StartFault::memory)?;
        tracing::info!(bytes = config.memory_ready_bytes, ?time, "memory was touched");
    }
    Ok(())
}

fn refuse(fault: &StartFault) -> ExitCode {
    eprintln!("usherd: {fault}");
    ExitCode::from(fault.exit_code())
}

/// Gets a word at the first signal; at the second the process ends at once. A start that is under way is
/// finished first.
fn stop_signal() -> io::Result<mpsc::Receiver<()>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (mut terminate, mut interrupt) = {
        let _inside = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    let (first, stop) = mpsc::channel();
    let wait = move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            eprintln!("usherd: stopping; a second signal ends at once");
            // Nobody listens any more: the process is ending already.
            let _ = first.send(());
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(1);
        });
    };
    thread::Builder::new().name("usher-signals".into()).spawn(wait)?;
    Ok(stop)
}

/// Until the first signal.
fn serve(running: Running, stop: &mpsc::Receiver<()>) -> ExitCode {
    // The other end lives as long as the process.
    let _ = stop.recv();
    let runtime = Builder::new_current_thread().enable_all().build();
    match runtime.map(|runtime| runtime.block_on(running.stop())) {
        Ok(Ok(())) => {
            eprintln!("usherd: stopped");
            ExitCode::SUCCESS
        }
        Ok(Err(fault)) => {
            eprintln!("usherd: {fault}");
            ExitCode::from(server::EXIT_IO)
        }
        Err(error) => {
            eprintln!("usherd: the stop cannot be waited for: {error}");
            ExitCode::from(server::EXIT_OS)
        }
    }
}
