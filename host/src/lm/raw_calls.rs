//! Recognises calls that a server left in the text, because it was started
//! without a parser for them. Only what is obvious counts: an agent that talks
//! about calls is no reason to stop a run.

/// How models of several families begin a call: Hermes and Qwen, Llama,
/// Mistral.
const MARKS: [&str; 3] = ["<tool_call>", "<|python_tag|>", "[TOOL_CALLS]"];

/// Whether `text` calls one of these tools in a model's own notation.
pub(super) fn has_raw_call(text: &str, tools: &[String]) -> bool {
    let after_mark = MARKS.iter().find_map(|mark| text.split_once(mark).map(|(_, rest)| rest));
    let call = after_mark.or_else(|| bare_object(text));
    call.is_some_and(|call| tools.iter().any(|tool| call.contains(tool.as_str())))
}

/// A text that is nothing but `{"name": …, "arguments": …}`, perhaps in a
/// code fence, perhaps the first of several.
fn bare_object(text: &str) -> Option<&str> {
    let text = text.trim().trim_start_matches("```json").trim_start_matches("```");
    let inside = text.trim_start().trim_start_matches('[').trim_start().strip_prefix('{')?;
    let names = inside.trim_start().strip_prefix("\"name\"").is_some();
    (names && ["\"arguments\"", "\"parameters\""].iter().any(|key| inside.contains(key)))
        .then_some(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_obvious_calls_are_recognised() {
        let tools = ["look".to_owned()];
        for (text, is_call) in [
            (
                "I'll look.\n<tool_call>\n{\"name\": \"look\", \"arguments\": {}}\n</tool_call>",
                true,
            ),
            ("[TOOL_CALLS]look{\"at\": 1}", true),
            ("<|python_tag|>{\"name\": \"look\", \"parameters\": {}}", true),
            ("```json\n{\"name\": \"look\", \"arguments\": {}}\n```", true),
            ("[{\"name\": \"look\", \"arguments\": {}}]", true),
            ("{\"name\": \"other\", \"arguments\": {}}", false),
            ("Write {\"name\": \"look\", \"arguments\": {}} to call it.", false),
            ("I will look at it.", false),
            ("A <tool_call> is an XML element.", false),
        ] {
            assert_eq!(has_raw_call(text, &tools), is_call, "{text}");
        }
    }
}
