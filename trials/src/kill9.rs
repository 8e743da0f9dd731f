//! `kill9`: the server is killed at random while clients buy, started again on the same folder, and everything it
//! said is judged.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::crowd::{Crowd, Manners};
use crate::dice::Dice;
use crate::judge::Judged;
use crate::log::{KeptLog, names, segments};
use crate::usherd::{LOOK_EVERY, PATIENCE, Programs, Start, Usherd, free_port, pause};

/// Kills between two looks at everything.
const CYCLES_PER_ROUND: u64 = 10;
/// Rounds on one folder.
const ROUNDS_PER_FOLDER: u64 = 5;
/// How long a kill waits for the moment it was meant for.
const MOMENT_WITHIN: Duration = Duration::from_millis(1_500);

/// What the command line says.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// How often the server is killed
    #[arg(long, default_value_t = 200)]
    pub cycles: u64,
    /// Seed of all choices; random when it is not given
    #[arg(long)]
    pub seed: Option<u64>,
    /// Keep the data folders, also of a run that ends well
    #[arg(long)]
    pub keep: bool,
}

/// When a server is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Serving,
    Recovering,
    Checkpoint,
    Rotation,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Moment::Serving => "serving",
            Moment::Recovering => "recovering",
            Moment::Checkpoint => "checkpoint",
            Moment::Rotation => "rotation",
        })
    }
}

/// Runs it.
///
/// # Errors
/// The first thing that is wrong, with the line that runs it again.
pub fn run(options: &Options) -> Result<()> {
    let seed = options.seed.unwrap_or_else(|| Dice::new(u64::from(std::process::id())).word() ^ crate::now_ms());
    let mut campaign = Campaign {
        programs: Programs::find()?,
        dice: Dice::new(seed),
        seed,
        port: free_port()?,
        kills: BTreeMap::new(),
        judged: Judged::default(),
        restarts: Vec::new(),
    };
    let began = Instant::now();
    let (mut left, mut folder_number) = (options.cycles, 0);
    while left > 0 {
        let folder = tempfile::Builder::new().prefix("usher-kill9-").tempdir()?;
        let cycles = left.min(CYCLES_PER_ROUND * ROUNDS_PER_FOLDER);
        if let Err(error) = campaign.sell_in(folder.path(), folder_number, cycles) {
            let kept = folder.keep();
            return Err(error.context(format!(
                "kill9 failed; the folder is kept in {}\nagain: cargo xtask kill9 --cycles {} --seed {seed}",
                kept.display(),
                options.cycles
            )));
        }
        if options.keep {
            println!("kept {}", folder.keep().display());
        }
        left -= cycles;
        folder_number += 1;
    }
    campaign.tell(began.elapsed());
    Ok(())
}

struct Campaign {
    programs: Programs,
    dice: Dice,
    seed: u64,
    port: u16,
    kills: BTreeMap<Moment, u64>,
    judged: Judged,
    restarts: Vec<Duration>,
}

impl Campaign {
    fn sell_in(&mut self, folder: &Path, folder_number: u64, cycles: u64) -> Result<()> {
        let data = folder.join("data");
        let kept = KeptLog::new(&data, &folder.join("kept"))?;
        let (mut left, mut round) = (cycles, 0);
        while left > 0 {
            let cycles = left.min(CYCLES_PER_ROUND);
            self.round(&data, &kept, &format!("f{folder_number}-r{round}"), cycles)?;
            left -= cycles;
            round += 1;
        }
        Ok(())
    }

    /// Some kills under one crowd, then a look at everything.
    fn round(&mut self, data: &Path, kept: &KeptLog, name: &str, cycles: u64) -> Result<()> {
        let mut server = self.start(data).spawn()?;
        let crowd = Crowd::begin(Manners {
            endpoint: self.start(data).endpoint(),
            seed: self.dice.word(),
            stages: 6,
            name: name.to_owned(),
            rest_ms: 16,
            shows_max: 1_000,
            short_holds: true,
        })?;
        for _ in 0..cycles {
            let moment = self.wait_for_a_moment(&mut server, data, kept)?;
            server.kill()?;
            kept.look()?;
            *self.kills.entry(moment).or_default() += 1;
            server = self.start(data).spawn()?;
        }
        server.wait_until_serving()?;
        self.restarts.push(server.started.elapsed());
        let histories = crowd.end()?;
        if self.dice.chance(50) {
            server.kill()?;
        } else {
            server.terminate()?;
            let status = server.wait(PATIENCE)?;
            ensure!(status.success(), "a stop ended with {status}: {}", server.said().join("\n"));
        }
        self.judge(data, kept, &histories)
    }

    fn judge(&mut self, data: &Path, kept: &KeptLog, histories: &[crate::history::History]) -> Result<()> {
        let (code, said) = self.programs.verify(data)?;
        ensure!(code <= 1, "usherctl verify {} ends with {code}: {said}", data.display());
        let log = kept.read()?;
        let verified = engine::verify(&engine::FileStorage::open_read_only(data)?)?;
        ensure!(
            verified.state_hash == log.state_hash,
            "checkpoint and tail of {} give the state {:016x}, and all of its log {:016x}",
            data.display(),
            verified.state_hash,
            log.state_hash
        );
        let folder = data.parent().context("a data folder lies in a folder")?;
        self.judged.judge(histories, &log, folder)
    }

    fn start(&mut self, data: &Path) -> Start {
        Start {
            program: self.programs.usherd(),
            before: Vec::new(),
            data: data.to_owned(),
            port: self.port,
            shards: self.dice.within(1, 9),
            segment_bytes: "256KiB".to_owned(),
            checkpoint_segments: 2,
            more: Vec::new(),
        }
    }

    /// Waits until it is time, and says what it is the time of.
    fn wait_for_a_moment(&mut self, server: &mut Usherd, data: &Path, kept: &KeptLog) -> Result<Moment> {
        let wanted = match self.dice.within(0, 100) {
            0..50 => Moment::Serving,
            50..70 => Moment::Recovering,
            70..85 => Moment::Checkpoint,
            _ => Moment::Rotation,
        };
        if wanted == Moment::Recovering {
            pause(Duration::from_micros(self.dice.within(500, 40_000)));
            self.must_live(server)?;
            return Ok(if server.is_serving() { Moment::Serving } else { Moment::Recovering });
        }
        server.wait_until_serving()?;
        self.restarts.push(server.started.elapsed());
        if wanted == Moment::Serving {
            self.watch(server, kept, Duration::from_millis(self.dice.clone().within(50, 801)), &|| Ok(false))?;
            self.dice.word();
            return Ok(Moment::Serving);
        }
        let before = segments(data)?;
        let come = match wanted {
            Moment::Checkpoint => self.watch(server, kept, MOMENT_WITHIN, &|| is_making_checkpoint(data))?,
            _ => self.watch(server, kept, MOMENT_WITHIN, &|| {
                Ok(segments(data)?.iter().any(|name| !before.contains(name)))
            })?,
        };
        Ok(if come { wanted } else { Moment::Serving })
    }

    /// Looks every millisecond until the moment has come or the time is over. Whether it came.
    fn watch(
        &self,
        server: &mut Usherd,
        kept: &KeptLog,
        within: Duration,
        has_come: &dyn Fn() -> Result<bool>,
    ) -> Result<bool> {
        let until = Instant::now() + within;
        let mut looks: u32 = 0;
        while Instant::now() < until {
            if has_come()? {
                return Ok(true);
            }
            if looks.is_multiple_of(8) {
                kept.look()?;
                self.must_live(server)?;
            }
            looks += 1;
            pause(LOOK_EVERY);
        }
        Ok(false)
    }

    fn must_live(&self, server: &mut Usherd) -> Result<()> {
        match server.ended()? {
            None => Ok(()),
            Some(status) => bail!("the server ended by itself, {status}: {}", server.said().join("\n")),
        }
    }

    fn tell(&mut self, took: Duration) {
        let cycles: u64 = self.kills.values().sum();
        let kills: Vec<String> = self.kills.iter().map(|(moment, kills)| format!("{kills} {moment}")).collect();
        let Judged { histories, operations, changes, answers, unknown, unknown_done, undecided } = self.judged;
        self.restarts.sort_unstable();
        let median = self.restarts.get(self.restarts.len() / 2).copied().unwrap_or_default();
        let longest = self.restarts.last().copied().unwrap_or_default();
        println!("kill9: {cycles} cycles in {:.0} s, seed {}", took.as_secs_f64(), self.seed);
        println!("  killed while        {}", kills.join(", "));
        println!("  started again       median {} ms, longest {} ms", median.as_millis(), longest.as_millis());
        println!(
            "  operations          {operations} in {histories} histories, {unknown} of unknown outcome ({unknown_done} had taken effect)"
        );
        println!("  by position         {changes} changes replayed, {answers} answers compared: all as the model says");
        println!("  by search           {} histories linearizable, {undecided} undecided", histories - undecided);
        println!(
            "  usherctl verify     clean or a torn tail, each time; checkpoint and tail = all of the log, each time"
        );
    }
}

fn is_making_checkpoint(data: &Path) -> Result<bool> {
    Ok(!names(data, |name| name.starts_with("snap-") && name.ends_with(".tmp"))?.is_empty())
}
