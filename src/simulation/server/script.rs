//! The scripts that `src/redis` sends, run by Lua 5.1 as Redis runs them.

use std::cell::RefCell;
use std::collections::HashMap;

use mlua::{Error as LuaError, Function, Lua, MultiValue, Result as LuaResult, Table, Value};

use super::resp::Answer;
use super::state::State;

/// The interpreter of this thread, and what it has compiled.
struct Interpreter {
    lua: Lua,
    compiled: HashMap<Vec<u8>, Function>,
}

thread_local! {
    static INTERPRETER: RefCell<Interpreter> = RefCell::new(Interpreter {
        lua: Lua::new(),
        compiled: HashMap::new(),
    });
}

/// Runs `text` over the first so many of `arguments` as keys.
pub(super) fn run(
    state: &mut State,
    text: &[u8],
    keys: usize,
    arguments: &[Vec<u8>],
) -> Result<Answer, String> {
    INTERPRETER.with_borrow_mut(|Interpreter { lua, compiled }| {
        let function = match compiled.get(text) {
            Some(function) => function.clone(),
            None => {
                let function = lua.load(text).into_function();
                let function =
                    function.map_err(|error| format!("ERR Error compiling script {error}"))?;
                compiled.insert(text.to_vec(), function.clone());
                function
            }
        };
        let (keys, arguments) = arguments.split_at(keys.min(arguments.len()));
        let mut refused = None;
        let ran = in_scope(lua, state, &function, (keys, arguments), &mut refused);
        match (ran, refused) {
            (_, Some(refused)) => Err(refused),
            (Ok(answer), None) => Ok(answer),
            (Err(error), None) => Err(format!("ERR {error}")),
        }
    })
}

fn in_scope(
    lua: &Lua,
    state: &mut State,
    function: &Function,
    (keys, arguments): (&[Vec<u8>], &[Vec<u8>]),
    refused: &mut Option<String>,
) -> LuaResult<Answer> {
    let globals = lua.globals();
    globals.set("KEYS", strings(lua, keys)?)?;
    globals.set("ARGV", strings(lua, arguments)?)?;
    lua.scope(|scope| {
        let call = scope.create_function_mut(|lua, parts: MultiValue| {
            let command: LuaResult<Vec<Vec<u8>>> = parts.iter().map(bytes).collect();
            let command = command?;
            let name = String::from_utf8_lossy(&command[0]).to_ascii_uppercase();
            match state.call(&name, &command[1..]) {
                Ok(answer) => to_lua(lua, answer),
                Err(error) => {
                    *refused = Some(error);
                    Err(LuaError::runtime("the command was refused"))
                }
            }
        })?;
        let redis = lua.create_table()?;
        redis.set("call", call)?;
        globals.set("redis", redis)?;
        Ok(of_lua(function.call(())?))
    })
}

fn strings(lua: &Lua, parts: &[Vec<u8>]) -> LuaResult<Table> {
    let parts: LuaResult<Vec<_>> = parts.iter().map(|part| lua.create_string(part)).collect();
    lua.create_sequence_from(parts?)
}

fn bytes(value: &Value) -> LuaResult<Vec<u8>> {
    match value {
        Value::String(text) => Ok(text.as_bytes().to_vec()),
        Value::Integer(number) => Ok(number.to_string().into_bytes()),
        Value::Number(number) => Ok(format!("{number}").into_bytes()),
        _ => Err(LuaError::runtime(
            "Lua redis lib command arguments must be strings or integers",
        )),
    }
}

fn to_lua(lua: &Lua, answer: Answer) -> LuaResult<Value> {
    Ok(match answer {
        Answer::Word(word) => {
            let table = lua.create_table()?;
            table.set("ok", word)?;
            Value::Table(table)
        }
        Answer::Number(number) => Value::Number(number as f64),
        Answer::Text(text) => Value::String(lua.create_string(text)?),
        Answer::List(list) => {
            let list: LuaResult<Vec<_>> = list.into_iter().map(|one| to_lua(lua, one)).collect();
            Value::Table(lua.create_sequence_from(list?)?)
        }
        _ => Value::Boolean(false),
    })
}

fn of_lua(value: Value) -> Answer {
    match value {
        Value::Boolean(true) => Answer::Number(1),
        Value::Integer(number) => Answer::Number(number),
        Value::Number(number) => Answer::Number(number as i64),
        Value::String(text) => Answer::Text(text.as_bytes().to_vec()),
        Value::Table(table) => match table.get::<Option<String>>("ok") {
            Ok(Some(_)) => Answer::OK,
            _ => Answer::List(
                table
                    .sequence_values::<Value>()
                    .flatten()
                    .map(of_lua)
                    .collect(),
            ),
        },
        _ => Answer::Nothing,
    }
}
