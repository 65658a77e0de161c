import { begin } from "./begin.ts";
import { isCommand } from "./commands.ts";
import { mayWrite } from "./forge.ts";
import type { Author, Forge, Remark, ReviewFacts, Thread } from "./forge.ts";
import type { Settings } from "./settings.ts";
import type { Mark, Rounds } from "./status.ts";

/** All that was said on a pull request of ours, by everybody. */
export interface Conversation {
  threads: readonly Thread[];
  reviews: readonly ReviewFacts[];
  remarks: readonly Remark[];
}

/** One thing that a reviewer waits for an answer to. */
export interface Point {
  /** What the model calls it: `t1` for a thread, `r1` for a review's own text, `c1` for a comment. */
  id: string;
  url: string;
  /** Where it is answered; undefined for what has no thread. */
  thread?: ThreadPlace | undefined;
  /** Oldest first. */
  texts: Text[];
}
export interface ThreadPlace extends Pick<Thread, "path" | "line" | "startLine" | "hunk" | "isOutdated"> {
  id: string;
  /** The review comment that the thread began with. */
  first: number;
}
export interface Text {
  by: Author;
  body: string;
  /** Whether it is what this round is about; else it was said before, by somebody with write access or by us. */
  isNew: boolean;
  /** Of the review or comment. */
  comment: number;
  /** When people could see it, in ISO 8601 and UTC, whole seconds. */
  at: string;
}

/** What a round of review is about: what was said, and how far that is. */
export interface FeedbackEvent {
  points: Point[];
  from: Rounds["read"];
  read: Rounds["read"];
  /** What the pull request remembers while this round is at work; undefined in the first one. */
  before?: Rounds;
  /** The commit that the pull request stood on. */
  head: string;
}
export const dispositions = ["fixed", "declined", "question", "out-of-scope"] as const;
/** What became of a point of a review, in the model's words. */
export interface Reply {
  point: string;
  disposition: (typeof dispositions)[number];
  text: string;
}

/** Whose words count, and which of them. */
export interface Reading {
  read: Rounds["read"] | undefined;
  trigger: Settings["review"]["trigger"];
  /** The app's name, by which it is mentioned. */
  slug: string;
  /** Whether a person may write to the repository. */
  trusts: (author: Author) => boolean;
}

export interface Feedback {
  points: Point[];
  /** How far the conversation has been read when these points are given to the model. */
  read: Rounds["read"];
  /** The newest word of the points, by a name that is always the same, and who said it. Undefined without a point. */
  newest: { name: string; by: Author } | undefined;
}

/** After so many rounds of review, or rounds in a row without a change, a person has to say that it should go on. */
export const mostRounds = 10;
export const mostFailures = 5;

const kinds = ["threads", "reviews", "remarks"] as const;
type Kind = (typeof kinds)[number];
interface Word {
  kind: Kind;
  id: number;
  at: string;
  by: Author;
}

/** Pure: what has to be answered now, by what was said and what was read before. */
export function readFeedback(conversation: Conversation, reading: Reading): Feedback {
  const { reviews, remarks } = conversation;
  const threads = threadPoints(conversation, reading);
  const standing = reviews.filter(({ state }) => state !== "dismissed");
  const bodies = standing.filter((review) => counts(reviewWord(review), review, { review, reading }));
  const comments = remarks.filter(
    (remark) => counts(commentWord(remark), remark, { reading }) && mentions(remark.body, reading.slug),
  );
  const words = [...threads.flatMap(({ words: own }) => own), ...bodies.map(reviewWord), ...comments.map(commentWord)];
  return {
    points: [
      ...threads.map(({ point }, index) => ({ ...point, id: `t${index + 1}` })),
      ...bodies.map((review, index) => ({
        id: `r${index + 1}`,
        url: review.url,
        texts: [newText(review, reviewWord(review))],
      })),
      ...comments.map((remark, index) => ({
        id: `c${index + 1}`,
        url: remark.url,
        texts: [newText(remark, commentWord(remark))],
      })),
    ],
    read: kinds.reduce((read, kind) => ({ ...read, ...markOf(kind, words, reading.read) }), {}),
    newest: newestOf(words),
  };
}

/** Whether the text names the app. */
export function mentions(body: string, slug: string): boolean {
  return new RegExp(String.raw`(?<![\w/])@${RegExp.escape(slug)}(?![\w-])`, "i").test(body);
}

function threadPoints({ threads, reviews }: Conversation, reading: Reading) {
  return threads.flatMap((thread) => {
    const { isResolved, remarks, id, path, line, startLine, hunk, isOutdated } = thread;
    const [first] = remarks;
    if (isResolved || first === undefined) return [];
    const reviewOf = ({ review }: Thread["remarks"][number]) => reviews.find(({ id: one }) => one === review);
    const wordOf = (remark: Thread["remarks"][number]) => threadWord(remark, reviewOf(remark));
    const isNew = (remark: Thread["remarks"][number]) =>
      counts(wordOf(remark), remark, { review: reviewOf(remark), reading });
    const words = remarks.filter(isNew).map(wordOf);
    if (words.length === 0) return [];
    const heard = remarks.filter(({ author }) => isOurs(author, reading.slug) || reading.trusts(author));
    const texts = heard.map((remark) => ({ ...newText(remark, wordOf(remark)), isNew: isNew(remark) }));
    const place = { id, first: first.id, path, line, startLine, hunk, isOutdated };
    return [{ point: { url: first.url, thread: place, texts }, words }];
  });
}

function counts(
  word: Word,
  { author, body }: { author: Author; body: string },
  { review, reading }: { review?: ReviewFacts | undefined; reading: Reading },
): boolean {
  const { read, trigger, slug, trusts } = reading;
  if (author.isBot || !trusts(author) || !isUnread(word, read?.[word.kind])) return false;
  if (body.trim() === "" || isAside(body, slug)) return false;
  const isNamed = mentions(body, slug) || (review !== undefined && mentions(review.body, slug));
  if (trigger === "any" || isNamed) return true;
  return trigger === "changes-requested" && review?.state === "changes-requested";
}

function isOurs({ isBot, login }: Author, slug: string): boolean {
  return isBot && login.replace(/\[bot\]$/, "") === slug;
}

/** What people say to each other, or want left alone. */
export function isAside(body: string, slug: string): boolean {
  const text = body.trimStart();
  const opensWithOther = text.startsWith("@") && !new RegExp(`^@${RegExp.escape(slug)}(?![\\w-])`, "i").test(text);
  return text.startsWith("//") || opensWithOther || text.includes("<!-- agent-fix:ignore -->") || isCommand(text);
}

function isUnread({ at, id }: Pick<Word, "at" | "id">, mark: Mark | undefined): boolean {
  return mark === undefined || at > mark.at || (at === mark.at && !mark.ids.includes(id));
}

/** GitHub's times have whole seconds: what else was said in the last one is told apart by its id. */
function markOf(kind: Kind, words: readonly Word[], before: Rounds["read"] | undefined): Rounds["read"] {
  const own = words.filter((word) => word.kind === kind);
  const at = newestTime(own.map((word) => word.at));
  const newest = at && { at, ids: own.filter((word) => word.at === at).map(({ id }) => id) };
  return furtherMark(kind, before?.[kind], newest || undefined);
}

function newestOf(words: readonly Word[]): Feedback["newest"] {
  const name = ({ kind, id }: Word) => `${kind.slice(0, -1)}-${id}`;
  const newest = words.toSorted((a, b) => a.at.localeCompare(b.at) || name(a).localeCompare(name(b))).at(-1);
  return newest && { name: name(newest), by: newest.by };
}

/** Nobody sees what belongs to a review before that is submitted, however long ago it was written. */
const threadWord = ({ id, createdAt, author }: Remark, review: ReviewFacts | undefined): Word => ({
  kind: "threads",
  id,
  at: review?.submittedAt ?? createdAt,
  by: author,
});
const commentWord = ({ id, createdAt, author }: Remark): Word => ({ kind: "remarks", id, at: createdAt, by: author });
const reviewWord = ({ id, submittedAt, author }: ReviewFacts): Word => ({
  kind: "reviews",
  id,
  at: submittedAt,
  by: author,
});

function newText({ body }: { body: string }, { by, id, at }: Word): Text {
  return { by, body, isNew: true, comment: id, at };
}

/** Pure: the points without what was read since, from what was read before: nobody waits for an answer to that any more. */
export function pointsLeft(
  points: readonly Point[],
  { before, now }: Record<"before" | "now", Rounds["read"]>,
): Point[] {
  return points.flatMap((point) => {
    const kind = kindOf(point);
    const isLeft = ({ comment: id, at }: Text) =>
      !isUnread({ at, id }, before[kind]) || isUnread({ at, id }, now[kind]);
    const texts = point.texts.map((text) => ({ ...text, isNew: text.isNew && isLeft(text) }));
    return texts.some(({ isNew }) => isNew) ? [{ ...point, texts }] : [];
  });
}

function kindOf({ id, thread }: Point): Kind {
  if (thread !== undefined) return "threads";
  return id.startsWith("r") ? "reviews" : "remarks";
}

/** Pure: how far the conversation was read, when it was read as far as each of both. */
export function readFurther(one: Rounds["read"], other: Rounds["read"]): Rounds["read"] {
  return kinds.reduce((read, kind) => ({ ...read, ...furtherMark(kind, one[kind], other[kind]) }), {});
}

function furtherMark(kind: Kind, ...marks: (Mark | undefined)[]): Rounds["read"] {
  const known = marks.filter((mark) => mark !== undefined);
  const at = newestTime(known.map((mark) => mark.at));
  if (at === undefined) return {};
  const ids = known.filter((mark) => mark.at === at).flatMap((mark) => mark.ids);
  return { [kind]: { at, ids: [...new Set(ids)] } };
}

function newestTime(times: readonly string[]): string | undefined {
  return times.toSorted().at(-1);
}

/** What was said on our pull request, all of it, and who of those that spoke may write. */
export async function readConversation(
  forge: Forge,
  pull: number,
): Promise<{ conversation: Conversation; trusts: (author: Author) => boolean }> {
  const asking = begin(forge.remarks(pull));
  const threads = await forge.threads(pull);
  // After the threads, so that of each comment in them the review is known.
  const reviews = await forge.reviews(pull);
  const remarks = await asking;
  const conversation = { threads, reviews, remarks };
  const asked = speakersOf(conversation).map(async ({ login }) =>
    mayWrite(await forge.permission(login)) ? login : undefined,
  );
  const trusted = new Set(await Promise.all(asked));
  return { conversation, trusts: ({ login }) => trusted.has(login) };
}

function speakersOf({ threads, reviews, remarks }: Conversation): Author[] {
  const all = [...threads.flatMap((thread) => thread.remarks), ...reviews, ...remarks].map(({ author }) => author);
  return [...new Map(all.filter(({ isBot }) => !isBot).map((author) => [author.login, author])).values()];
}
