//! Runs a checker and fetches all that it says. Owns how: `commands` keeps the
//! beginning and the end of an output, 16 KiB each, and a checker says more, so
//! the output goes into a temporary file that is fetched piece by piece.

use code_agent_sdk::commands::CommandOutput;
use code_agent_sdk::types::Error;

use crate::detection::Used;

/// In bytes: of a longer output the rest is not read.
const LONGEST: usize = 2 << 20;
/// In bytes: what one command brings. As base64, which leaves no byte to chance,
/// it is a third longer and still fits.
const PIECE: usize = 23_000;
/// In bytes: so much of the end of stderr tells why a checker failed.
const ERRORS: usize = 2_000;
/// The exit code where a program is not found, as shells have it.
const NOT_FOUND: i32 = 127;

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Ran {
    /// The program is not installed.
    Missing,
    /// It was not done in time.
    TimedOut,
    Ended {
        code: i32,
        output: String,
        /// Whether there was more than is kept.
        cut: bool,
        /// The end of what stood on stderr.
        errors: String,
        /// The folder of the checkout, as the command sees it.
        top: String,
    },
}

/// Runs the checker in its folder. `run` is the host's `commands.run`.
///
/// # Errors
/// Those of `run`, and `unavailable` where the shell answers something else than
/// it was asked.
pub fn run(
    used: &Used,
    seconds: u32,
    mut run: impl FnMut(&str, u32) -> Result<CommandOutput, Error>,
) -> Result<Ran, Error> {
    let ran = run(&script(used), seconds)?;
    if ran.timed_out {
        return Ok(Ran::TimedOut);
    }
    if ran.exit_code == Some(NOT_FOUND) {
        return Ok(Ran::Missing);
    }
    let strange = || {
        let name = used.checker.name.text();
        Error::Unavailable(format!("{name} could not be run: {}", ran.output.trim()))
    };
    let mut lines = ran.output.splitn(4, '\n');
    let mut header = || lines.next().map(str::trim).ok_or_else(strange);
    let code = header()?.parse().map_err(|_| strange())?;
    let length: usize = header()?.parse().map_err(|_| strange())?;
    let top = header()?.to_owned();
    let errors = lines.next().unwrap_or_default().trim().to_owned();
    let mut bytes = Vec::new();
    while bytes.len() < length.min(LONGEST) {
        let piece = run(&fetch(bytes.len()), 60)?;
        let piece = decode(&piece.output).filter(|piece| !piece.is_empty()).ok_or_else(strange)?;
        bytes.extend(piece);
    }
    let output = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Ran::Ended { code, output, cut: length > LONGEST, errors, top })
}

/// Prints the exit code, the output's length, the checkout's folder and the end
/// of stderr. Programs that the project brings come before the system's.
pub(crate) fn script(used: &Used) -> String {
    let folder = quoted(if used.folder.is_empty() { "." } else { &used.folder });
    let (program, command) = (used.checker.program, used.checker.command);
    let errors = if used.checker.both_streams { "\"$out\"" } else { "\"$out.errors\"" };
    format!(
        "top=$PWD; out=\"$TMPDIR/diagnostics\"; cd {folder} || exit 1\n\
         for place in node_modules/.bin .venv/bin venv/bin; do\n\
         PATH=\"$PWD/$place:$top/$place:$PATH\"\n\
         done; export PATH\n\
         command -v {program} >/dev/null || exit {NOT_FOUND}\n\
         : >\"$out\"; : >\"$out.errors\"\n\
         ( {command} ) </dev/null >>\"$out\" 2>>{errors}\n\
         printf '%s\\n%s\\n%s\\n' \"$?\" \"$(wc -c <\"$out\")\" \"$top\"\n\
         tail -c {ERRORS} \"$out.errors\"; exit 0\n"
    )
}

pub(crate) fn fetch(from: usize) -> String {
    format!("tail -c +{} \"$TMPDIR/diagnostics\" | head -c {PIECE} | base64", from + 1)
}

/// As one word for the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The bytes that a text in base64 stands for, line breaks left aside; none where
/// it is something else.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0);
    for letter in text.bytes().filter(|letter| !letter.is_ascii_whitespace() && *letter != b'=') {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xFFFF;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xFF).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::checkers::Checker;

    /// As the host runs it: stdout and stderr together, shortened in the middle.
    fn shell(folder: &std::path::Path, line: &str) -> CommandOutput {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(folder).env("TMPDIR", folder.join("temporary"));
        let ran = shell.output().unwrap();
        let mut output = [ran.stdout, ran.stderr].concat();
        if output.len() > 32 << 10 {
            output.truncate(16 << 10);
        }
        let output = String::from_utf8_lossy(&output).into_owned();
        CommandOutput { exit_code: ran.status.code(), output, timed_out: false }
    }

    fn run_here(name: &str, checker: Checker) -> Ran {
        let folder =
            std::env::temp_dir().join(format!("diagnostics-{name}-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("it's here")).unwrap();
        std::fs::create_dir_all(folder.join("temporary")).unwrap();
        let checker: &'static Checker = Box::leak(Box::new(checker));
        let used = Used { checker, folder: "it's here".into(), because: String::new() };
        let ran = run(&used, 10, |line, _| Ok(shell(&folder, line))).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        ran
    }

    fn checker(program: &'static str, command: &'static str, both_streams: bool) -> Checker {
        Checker {
            name: crate::checkers::Name::Ruff,
            program,
            command,
            both_streams,
            read: |_| Vec::new(),
        }
    }

    #[test]
    fn a_long_output_is_fetched_whole() {
        let command = "pwd >&2; seq 1 30000 | sed s/$/äöü/; (exit 3)";
        let Ran::Ended { code, output, cut, errors, top } =
            run_here("long", checker("sed", command, false))
        else {
            panic!("it ended");
        };
        let expected: String = (1..=30_000).map(|number| format!("{number}äöü\n")).collect();
        assert!(output == expected, "{} bytes instead of {}", output.len(), expected.len());
        assert_eq!((code, cut), (3, false));
        assert_eq!(errors, format!("{top}/it's here"));
    }

    #[test]
    fn an_endless_output_is_bounded() {
        let command = "seq 1 1000000";
        let ran = run_here("endless", checker("seq", command, false));
        let Ran::Ended { output, cut, .. } = ran else { panic!("it ended") };
        assert!(cut && output.len() < LONGEST + PIECE);
    }

    #[test]
    fn both_streams_and_none_of_the_programs() {
        let ran = run_here("both", checker("sh", "echo one; echo two >&2", true));
        assert!(matches!(ran, Ran::Ended { output, .. } if output == "one\ntwo\n"));
        let ran = run_here("none", checker("no-such-program", "exit 1", false));
        assert_eq!(ran, Ran::Missing);
    }
}
