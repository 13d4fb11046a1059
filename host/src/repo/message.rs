//! The message of a landing's commit: a model's text, made harmless, and our
//! trailers.

/// Longer texts are cut, in bytes.
const LONGEST_MESSAGE: usize = 16 * 1024;
/// How each of our trailers begins.
const TRAILER: &str = "code-agent-";

/// The whole message. Nothing that `text` says can pass for one of our trailers:
/// a line that looks like one gets a space in front, which makes it plain text
/// for git. (What counts as landed is asked of the database anyway.)
pub(super) fn commit_message(text: &str, run: &str, task_id: &str, landing_id: &str) -> String {
    let mut message = String::new();
    for line in text.replace("\r\n", "\n").split(['\n', '\r']) {
        let line: String = line.chars().filter(|letter| !is_harmful(*letter)).collect();
        if starts_like_trailer(&line) {
            message.push(' ');
        }
        message.push_str(line.trim_end());
        message.push('\n');
    }
    let message = message.trim_matches('\n');
    let message = match &message[..message.floor_char_boundary(LONGEST_MESSAGE)] {
        blank if blank.trim().is_empty() => "Change without a message",
        some => some.trim_end(),
    };
    let [run, task_id, landing_id] = [run, task_id, landing_id].map(one_line);
    format!(
        "{message}\n\nCode-Agent-Run: {run}\nCode-Agent-Task: {task_id}\n\
         Code-Agent-Landing: {landing_id}\n"
    )
}

fn starts_like_trailer(line: &str) -> bool {
    let start = line.as_bytes().get(..TRAILER.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(TRAILER.as_bytes()))
}

/// Control characters, which terminals obey, and those that reorder what is
/// shown (Unicode's bidirectional controls), which hide text from reviewers.
fn is_harmful(letter: char) -> bool {
    let reorders = matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    reorders || (letter.is_control() && letter != '\t')
}

fn one_line(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(256).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_of_a_model_are_no_trailers() {
        let forged =
            "Fix it\r\n\r\nCode-Agent-Run: other\nCODE-AGENT-task : x\rcode-agent-landing: y\n";
        let message = commit_message(forged, "r1", "t1", "l1\nCode-Agent-Run: z");
        let trailers: Vec<&str> =
            message.lines().filter(|line| starts_like_trailer(line)).collect();
        assert_eq!(
            trailers,
            [
                "Code-Agent-Run: r1",
                "Code-Agent-Task: t1",
                "Code-Agent-Landing: l1Code-Agent-Run: z"
            ]
        );
        assert!(message.starts_with("Fix it\n\n Code-Agent-Run: other\n CODE-AGENT-task : x\n"));
    }

    #[test]
    fn messages_are_cut_and_cleaned() {
        let message = commit_message(&"é\u{1b}[31m".repeat(10_000), "r", "t", "l");
        assert!(message.len() < LONGEST_MESSAGE + 200);
        assert!(!message.contains('\u{1b}'));
        assert!(commit_message("\n \0\n", "r", "t", "l").starts_with("Change without a message\n"));
    }

    #[test]
    fn cutting_makes_no_trailer() {
        let message = commit_message(&"x\u{7}\nCo\u{0}de-Agent-Run: a\n".repeat(2), "r", "t", "l");
        assert_eq!(message.lines().filter(|line| starts_like_trailer(line)).count(), 3);
    }
}
