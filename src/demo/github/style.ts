/** The pages' one style sheet. */
export const style = `
  body { margin: 0; font: 15px/1.5 system-ui, sans-serif; color: #1f2328; background: #fff; }
  nav { padding: 0.7rem 1.5rem; background: #24292f; }
  nav a { color: #fff; text-decoration: none; font-weight: 600; }
  main { max-width: 60rem; margin: 1.5rem auto; padding: 0 1.5rem; }
  h1 { font-size: 1.6rem; }
  a { color: #0969da; }
  article { border: 1px solid #d1d9e0; border-radius: 6px; margin: 1rem 0; overflow: hidden; }
  article > header { background: #f6f8fa; padding: 0.4rem 1rem; border-bottom: 1px solid #d1d9e0; font-weight: 600; }
  article > div { padding: 0.2rem 1rem; overflow-x: auto; }
  .thread > .diff { margin: 0; border-radius: 0; }
  .thread > article { margin: 0.6rem; }
  code, pre { font: 13px/1.45 ui-monospace, monospace; }
  code { background: #eff1f3; padding: 0.1rem 0.3rem; border-radius: 4px; }
  pre { background: #f6f8fa; border-radius: 6px; padding: 0.8rem; overflow-x: auto; }
  pre code { background: none; padding: 0; }
  details { margin: 0.8rem 0; }
  summary { cursor: pointer; }
  table { border-collapse: collapse; }
  th, td { border: 1px solid #d1d9e0; padding: 0.3rem 0.8rem; text-align: left; }
  .row { border-bottom: 1px solid #d1d9e0; padding: 0.5rem 0; margin: 0; }
  .state { color: #fff; border-radius: 1rem; padding: 0.1rem 0.7rem; font-size: 0.85rem; }
  .open { background: #1a7f37; }
  .closed { background: #8250df; }
  .label { border: 1px solid #54aeff; color: #0969da; border-radius: 1rem; padding: 0.1rem 0.6rem; font-size: 0.85rem; }
  .diff span { display: block; white-space: pre-wrap; overflow-wrap: anywhere; }
  .diff .start { margin-top: 1rem; }
  .diff .start:first-child { margin-top: 0; }
  .diff .added { background: #dafbe1; }
  .diff .removed { background: #ffebe9; }
  .diff .hunk { color: #0969da; }
  .diff .file { color: #59636e; font-weight: 600; }
  button { font: inherit; padding: 0.5rem 1rem; border: 0; border-radius: 6px; background: #1f883d; color: #fff; cursor: pointer; }
`;
