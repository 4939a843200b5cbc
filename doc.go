// Gogpt trains a GPT-2-style language model from nothing, with the standard library only. Every forward pass stands above
// its hand-written backward pass, and every backward pass is checked against differences of a plain float64 reference.
//
// # Legend
//
//	T           tokens of a batch, its sequences one after another; also of one sequence     t
//	C           channels of the residual stream                                              c
//	V           tokens of the vocabulary                                                     v
//	M, N, K     extents of a product [M, K]·[K, N]
//	Q, K, V     queries, keys and values of attention; S their scores, P the probabilities, O the result of a head
//	W, b        weights and bias of a linear layer
//
// Capitals are extents or matrices, the letters beside them indices; layers, heads, hidden and d, the channels of a head, are
// written out. There is no B: a batch packs sequences of any lengths without padding. Slices are row-major float32, their
// shape in a comment: [T, C]. The gradient of the loss by q is dq. Losses are in nats a token, perplexity is exp of their
// mean.
//
// # The map
//
// A file uses files of lower floors, and on its own floor those above it in this list. A twin for some machines
// (x_amd64.go, x_other.go) stands with x.go unless it has a line of its own. TestUsesPointDownward reads this list.
//
//	0 ground
//	  doc.go             legend and map
//	  modelconfig.go     the shape of the model and of its weights
//	  config.go          sizes and hyperparameters, each default once
//
//	1 numerics
//	  kernel.go          what a kernel is
//	  matmul_generic.go  the tile of a product, portable
//	  vector_generic.go  element-wise work, portable
//	  cpu_amd64.go       what the processor can do
//	  vector_amd64.go    element-wise work in AVX2 and AVX-512
//	  kernel_amd64.go    the kernels of an x86-64 processor
//	  kernel_arm64.go    the kernel of an ARM processor
//	  dispatch.go        which kernel does the work
//	  vector.go          element-wise work: exp, GELU, sums, Adam
//	  team.go            threads
//	  matrix.go          views of rows and columns
//	  matmul.go          products
//	  peak.go            the processor's floating-point peak
//	  rng.go             every use of the seed
//	  ops.go             softmax, moments, sums over threads
//	  dropout.go         masks from a hash
//
//	2 learning tools and text
//	  param.go           a named weight and its gradient, clipping
//	  adam.go            AdamW
//	  schedule.go        learning rate, accumulation ramp, freezing
//	  loss.go            cross-entropy
//	  pretokenize.go     words of GPT-2's pattern
//	  bytelevel.go       bytes spelled as printable characters
//	  minheap.go         a priority queue
//	  bpe.go             applying and learning merges
//	  tokenizer.go       text to token ids and back
//	  vocabtrain.go      a vocabulary from texts
//	  vocabfiles.go      vocabularies in files
//	  jsonobject.go      strict JSON
//	  atomicfile.go      files written whole or not at all
//	  corpus.go          files to texts and conversations
//	  dataset.go         texts to samples to batches
//
//	3 layers
//	  cache.go           keys and values of earlier tokens
//	  embedding.go       token and position
//	  layernorm.go       LayerNorm
//	  linear.go          y = x·W + b
//	  attention.go       causal self-attention and its three backward passes
//	  feedforward.go     GELU between two linear layers
//
//	4 model
//	  transformer.go     one block
//	  llm.go             the whole model
//	  reference.go       the same model in plain float64 loops, forward only
//
//	5 around it
//	  generate.go        prefill and decode through a cache, greedy answers side by side
//	  sampling.go        temperature, cuts and penalties
//	  stream.go          whole characters and stop strings out of tokens
//	  generator.go       what an answer is, and the step to its next token
//	  beam.go            beam search
//	  answer.go          one answer to one prompt
//	  tensor.go          named arrays and their types in files
//	  tensorheader.go    the header of safetensors
//	  safetensors.go     weights in files
//	  checkpoint.go      model and tokenizer in one file
//
//	6 training
//	  ending.go          why a run ends
//	  earlystop.go       when to stop
//	  program.go         which build this is
//	  record.go          the lines of a log
//	  health.go          the verdict on a phase
//	  sample.go          what the model makes of a fixed prompt as it learns
//	  phase.go           what a phase learns from, what an epoch adds up to
//	  monitor.go         table and observers of a run
//	  eval.go            loss of data that is not learned from
//	  gradrule.go        what each attention backward assumes
//	  gradcheck.go       gradients against differences
//	  attngradient.go    the approximate attention backwards during training
//	  train.go           the training loop
//	  golden.go          gradients against PyTorch
//	  tensorboard.go     event files
//	  runlog.go          a run read back from its log
//	  axis.go            places and names of values in charts
//	  svg.go             charts
//	  timeline.go        spans of epochs
//	  figures.go         the curves of a phase
//	  report.go          the page of one or several runs
//	  ablation.go        one change at a time, and what it came to
//	  ablationpage.go    the page of an ablation
//
//	7 face
//	  console.go         streams, errors and flags of every command
//	  flags.go           the flags of training
//	  repository.go      the data inside the program
//	  dialog.go          lines from a person or a pipe, questions, Ctrl-C
//	  logs.go            the files that observe a run
//	  session.go         a run from data to saved model
//	  chat.go            a conversation by the template
//	  replies.go         its answers on a terminal, in a pipe, as JSON
//	  repl.go            its lines and commands
//	  chatcommand.go     chat
//	  interactive.go     training with someone to ask
//	  traincommand.go    train
//	  commands.go        eval, tokenize, gradcheck, report, version
//	  ablate.go          ablate
//	  benchcase.go       what is benchmarked
//	  benchgenerate.go   the speed of an answer
//	  bench.go           the speed of a step
//	  cli.go             command line and exit codes
//	  main.go            the only exit
//
// # Reading order
//
// Start with reference.go, the forward pass of the whole model on one page. Then loss.go; the layers linear.go, layernorm.go,
// feedforward.go, attention.go, each with its backward pass; transformer.go and llm.go; adam.go, schedule.go and train.go.
// The text side is tokenizer.go, bpe.go, dataset.go. What makes it fast, matmul.go and below, comes last or never.
//
// # Numbers and proofs
//
// Every default and limit of the command line stands in config.go. The proofs are the tests beside the files: gradcheck.go
// and its tests hold every backward pass against differences, golden.go against PyTorch, matmul_test.go and vector_test.go
// every kernel against its portable twin. "gogpt gradcheck" prints the first of these for any size.
package main
