const special = String.raw`\|[A-Za-z0-9_]{1,40}\|>|\/?(?:tool_call|tool_response|tools|think)>`;
const callTag = String.raw`\/(?:function|parameter)>|(?:function|parameter)=`;

/**
 * Text in which no chat markup is left that a server would read as its own token, such as the end of a turn: the
 * opening angle becomes a look-alike, which `rearm` turns back.
 */
export function disarm(text: string): string {
  return text.replaceAll(new RegExp(`<(?=${special})`, "g"), "‹");
}

/**
 * What the model wrote after reading a disarmed text, as it has to stand in a file. It may write the other tags of a call
 * with the look-alike too: in their own form they would end the call.
 */
export function rearm(text: string): string {
  return text.replaceAll(new RegExp(`‹(?=${special}|${callTag})`, "g"), "<");
}
