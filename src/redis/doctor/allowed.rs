//! What our user may do: asked by `ACL DRYRUN`, or where that is denied, as for a user with the least rights, by a script or a
//! transaction that does nothing.

use ::redis::{Pipeline, Value};

use super::facts::{DeniedFacts, RightsFacts};
use super::questions::{Heard, Questions, is_denied};
use crate::redis::fault;
use crate::redis::reply;
use crate::redis::rights::Need;

/// Which of the commands in `ARGV` may not be sent, by number. Words are apart by a character that is in none of them.
const ASK: &str = "\
if not redis.acl_check_cmd then return redis.error_reply('ERR no acl_check_cmd') end \
local denied = {} \
for i, line in ipairs(ARGV) do \
  local words = {} \
  for word in string.gmatch(line, '[^\\31]+') do words[#words + 1] = word end \
  local known, may = pcall(redis.acl_check_cmd, unpack(words)) \
  if not known or not may then denied[#denied + 1] = i end \
end \
return denied";
const APART: &str = "\u{1f}";

/// Who we are, if it is told.
pub(super) async fn user(questions: &mut Questions) -> Option<String> {
    questions.ask(&["ACL", "WHOAMI"]).await.told()
}

/// Whether everybody may be `user`.
pub(super) async fn needs_no_password(questions: &mut Questions, user: &str) -> Option<bool> {
    let told: Heard<Value> = questions.ask(&["ACL", "GETUSER", user]).await;
    let parts = match told.told()? {
        Value::Array(parts) => parts,
        Value::Map(pairs) => pairs.into_iter().flat_map(|(k, v)| [k, v]).collect(),
        _ => return None,
    };
    let mut pairs = parts.chunks_exact(2);
    let flags = pairs.find_map(|pair| (reply::text(&pair[0])? == "flags").then_some(&pair[1]))?;
    let (Value::Array(flags) | Value::Set(flags)) = flags else {
        return None;
    };
    Some(flags.iter().any(|flag| reply::text(flag) == Some("nopass")))
}

/// Which of `needs` our user may not send. Comes last: it may leave the connection in a transaction.
pub(super) async fn rights(
    questions: &mut Questions,
    user: Option<&str>,
    needs: &[Need],
) -> RightsFacts {
    let denied = match user {
        Some(user) => by_dry_run(questions, user, needs).await,
        None => None,
    };
    if let Some(denied) = denied {
        return told("ACL DRYRUN", needs, &denied);
    }
    if let Some(denied) = by_script(questions, needs).await {
        return told("EVAL", needs, &denied);
    }
    match by_transaction(questions, needs).await {
        Some(denied) => told("MULTI", needs, &denied),
        None => RightsFacts::default(),
    }
}

fn told(asked_by: &'static str, needs: &[Need], denied: &[usize]) -> RightsFacts {
    let denied = denied.iter().filter_map(|at| needs.get(*at));
    RightsFacts {
        asked_by: Some(asked_by),
        denied: denied
            .map(|need| DeniedFacts {
                command: need.words.join(" "),
                lost: need.lost,
                vital: need.is_vital,
                promises: need.promises,
            })
            .collect(),
    }
}

async fn by_dry_run(questions: &mut Questions, user: &str, needs: &[Need]) -> Option<Vec<usize>> {
    let mut pipe = Pipeline::with_capacity(needs.len());
    for need in needs {
        let asked = pipe.cmd("ACL").arg("DRYRUN").arg(user);
        for word in &need.words {
            asked.arg(&**word);
        }
    }
    let answers = questions.ask_all(&pipe).await?;
    let is_asked = |answer: &Value| {
        let error = fault::error_in(answer);
        !error.is_some_and(|error| is_denied(&error))
    };
    if !answers.iter().all(is_asked) {
        return None;
    }
    Some(those(&answers, |answer| {
        reply::text(answer) != Some("OK") && !matches!(answer, Value::Okay)
    }))
}

async fn by_script(questions: &mut Questions, needs: &[Need]) -> Option<Vec<usize>> {
    let lines: Vec<String> = needs.iter().map(|need| need.words.join(APART)).collect();
    let mut words = vec!["EVAL", ASK, "0"];
    words.extend(lines.iter().map(String::as_str));
    let denied: Vec<usize> = questions.ask(&words).await.told()?;
    // Lua counts from one.
    Some(
        denied
            .into_iter()
            .filter_map(|at| at.checked_sub(1))
            .collect(),
    )
}

/// What is refused as it is queued. Sent only once the transaction has begun: nothing of it is ever executed.
async fn by_transaction(questions: &mut Questions, needs: &[Need]) -> Option<Vec<usize>> {
    let begun: Heard<Value> = questions.ask(&["MULTI"]).await;
    begun.told()?;
    let mut pipe = Pipeline::with_capacity(needs.len());
    for need in needs {
        let mut command = ::redis::Cmd::new();
        for word in &need.words {
            command.arg(&**word);
        }
        pipe.add_command(command);
    }
    let answers = questions.ask_all(&pipe).await?;
    let _: Heard<Value> = questions.ask(&["DISCARD"]).await;
    Some(those(&answers, |answer| {
        fault::error_in(answer).is_some_and(|error| is_denied(&error))
    }))
}

fn those(answers: &[Value], are: impl Fn(&Value) -> bool) -> Vec<usize> {
    let numbered = answers.iter().enumerate();
    numbered
        .filter(|(_, answer)| are(answer))
        .map(|(at, _)| at)
        .collect()
}
