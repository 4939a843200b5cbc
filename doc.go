// Gogpt trains a GPT-2-style language model from scratch, with the standard library only. Every forward pass stands
// above its hand-written backward pass, and every backward pass is checked against differences of a plain float64
// reference.
//
// # Legend
//
//	T           tokens of a batch, its sequences one after another; also of one sequence     t
//	C           channels of the residual stream                                              c
//	Q, K, V     queries, keys and values of attention; S their scores, P the probabilities, Z = P·V the result of a head
//	W, b        weights and bias of a linear layer; W_O, b_O those of attention's output projection
//
// Capitals are extents or matrices, the letters beside them indices. The sizes vocab, layers, heads and hidden are
// written out; d is the number of channels of one head. Token ids, which run over the vocabulary, are u and v in
// equations, never V. There is no extent for sequences: a batch packs sequences of any
// lengths one after another, without padding. Slices are row-major float32, their shape in a comment: [T, C]. The
// gradient of the loss with respect to q is dq. Losses are in nats (natural logarithms) per token; perplexity is exp of
// their mean.
//
// Four words of the comments: a slice is borrowed when another owner may overwrite it later; scratch is memory that
// is reused and holds nothing between two calls; what is kept from forward is read by backward; and lo … hi is a
// range that includes lo and excludes hi, such as the part of a loop that [gogpt/internal/kernel.Parallel] gives to
// one thread.
//
// # Floors
//
// The packages in internal/ know nothing of the model; each has its own documentation. The root is one package. Its
// files belong to floors, and a file uses its own floor and lower ones only. A name with a star is a family of files.
//
//	0 ground     config* modelconfig
//	1 text       tokenizer* data*
//	2 learning   param loss adam schedule freeze earlystop
//	3 model      ops linear layernorm attention cache feedforward embedding dropout transformer llm reference
//	4 use        generate* checkpoint train* check*
//	5 face       chat* ablation* bench* cli* main
//
// # Reading order
//
// This is the path through the model and its training: 26 files, about 3150 lines, an afternoon. No file uses a name
// of a later one.
//
//	reference.go                  the whole model, forward only, in plain float64 loops: start here
//	modelconfig.go                the sizes of the model and of its weights
//	config.go                     the hyperparameters, each default once; every use of the seed
//	internal/kernel/matrix.go     views of rows and columns, and their products
//	internal/kernel/parallel.go   how a loop over rows is shared out among threads
//	internal/kernel/vector.go     GELU, row normalization, softmax, Adam: each with its plain loop
//	ops.go                        softmax and moments of a row, sums of long slices
//	param.go                      a named weight and its gradient; clipping
//	databatch.go                  samples, and batches packed without padding
//	loss.go                       cross-entropy
//	linear.go                     y = x·W + b
//	layernorm.go                  LayerNorm
//	feedforward.go                GELU between two linear layers
//	dropout.go                    masks that are computed, not stored
//	cache.go                      sequences, and the keys and values of their earlier tokens
//	attention.go                  causal self-attention and its three backward passes
//	embedding.go                  tokens and positions
//	transformer.go                one block
//	adam.go                       AdamW
//	schedule.go                   the learning rate
//	freeze.go                     which parameters learn when
//	llm.go                        the whole model
//	earlystop.go                  when to stop
//	trainstep.go                  one optimizer step
//	trainphase.go                 the plan of a phase and the figures of an epoch
//	train.go                      the training loop
//
// The text side begins with tokenizer.go, answers with generate.go, proofs with check.go, speed with
// internal/kernel/matmul.go.
//
// # Numbers and proofs
//
// Every default and limit of the command line stands in config.go. The proofs are the tests beside the files:
// check.go and its tests hold every backward pass against differences, checkgolden.go against PyTorch, the tests of
// internal/kernel every kernel against its portable twin. "gogpt gradcheck" prints the first of these for any size.
package main
