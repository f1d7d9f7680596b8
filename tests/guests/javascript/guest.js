// Drops health checks, in JavaScript: what a guest of another language has to be able to do with the contract.
// One column, in the layout that is cheapest for languages that decode strings slowly: a code per row into distinct words.

const HEALTH = new Set(['/health', '/healthz', '/health/live', '/health/ready', '/ready', '/livez', '/metrics']);
const decoder = new TextDecoder();

function wordsOf({ offsets, data }) {
  return Array.from({ length: offsets.length - 1 }, (_, at) => decoder.decode(data.subarray(offsets[at], offsets[at + 1])));
}

export const processor = {
  configure() {
    return {
      columns: [{ path: 'attributes["http.route"]', layout: 'words' }],
      reads: [], writes: [], mayDrop: true, when: [], affinity: 'any', onError: 'pass', options: [],
    };
  },

  process(rows, [route]) {
    const { codes, words } = route.cells.val;
    const unwanted = wordsOf(words).map((word) => HEALTH.has(word));
    const marks = Uint8Array.from(codes, (code) => (unwanted[code] ? 1 : 0));
    if (!marks.includes(1)) return [];
    return [{ tag: 'drop', val: { at: { tag: 'marked', val: marks }, reason: 'health check' } }];
  },
};
