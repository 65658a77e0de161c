/** Of a stretch that comes again and again. */
const longest = 2000;
const chunk = 50;
const mostChunks = 10;
const mostLines = 2000;
const lookEvery = 500;
const kept = chunk * (mostLines + 1);
const mostCandidates = 20;

/**
 * Tells when a text only repeats itself: the same stretch of 50 to 2,000 characters 10 times in a row, or a shorter one
 * of whole lines more than 2,000 times. Its time is linear in the text.
 */
export function createRepetitionGuard(): { repeats(piece: string): boolean } {
  let tail = "";
  let unseen = 0;
  return {
    repeats(piece) {
      tail += piece;
      unseen += piece.length;
      if (unseen < lookEvery) return false;
      unseen = 0;
      if (tail.length > 2 * kept) tail = tail.slice(-kept);
      return repeatsAtEnd(tail);
    },
  };
}

function repeatsAtEnd(text: string): boolean {
  const near = text.slice(-(longest + chunk));
  const last = near.length - chunk;
  if (last < 0) return false;
  const end = near.slice(last);
  let at = last;
  for (let looked = 0; looked < mostCandidates && at > 0; looked++) {
    at = near.lastIndexOf(end, at - 1);
    if (at < 0) return false;
    const period = last - at;
    const ofLines = period < chunk && end.slice(-period).includes("\n");
    // Its multiples would count as longer stretches.
    if (ofLines) return comesAgain(text, period, mostLines + 1);
    // A short stretch without an end of line is looked at in pieces of the least length.
    if (comesAgain(text, period * Math.ceil(chunk / period), mostChunks)) return true;
  }
  return false;
}

function comesAgain(text: string, length: number, times: number): boolean {
  const whole = length * times;
  return text.length >= whole && text.slice(-whole, -length) === text.slice(length - whole);
}
