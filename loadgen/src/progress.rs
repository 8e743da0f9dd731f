use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on standard error, there only when that is a terminal.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar over so many `unit`s; without a length it only counts.
    pub(crate) fn new(length: Option<u64>, unit: &str) -> Self {
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr_with_hz(5));
        let template = if length.is_some() {
            format!("{{elapsed_precise}} {{bar:30}} {{human_pos}}/{{human_len}} {unit} {{msg}}")
        } else {
            format!("{{elapsed_precise}} {{spinner}} {{human_pos}} {unit} {{msg}}")
        };
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        Self { bar }
    }

    pub(crate) fn set(&self, position: u64, message: String) {
        self.bar.set_position(position);
        self.bar.set_message(message);
    }

    pub(crate) fn tick(&self) {
        self.bar.inc(1);
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
