"""The experiment as typed dataclasses: the one description that everything else is built from.

A config file defines `get_config(arg="") -> Experiment`; the command line overrides any field of it
(`--config.grid.seed=0,1 --config.steps=24000`). This module does not import jax, so that a config can be read
and refused before jax starts.
"""

import dataclasses
from dataclasses import field
from typing import Annotated

from collapse_jax.experiment.axes import Grid
from collapse_jax.experiment.stopping import Stop
from collapse_jax.experiment.training import Training


@dataclasses.dataclass
class Task:
    """The data: the first `train_size` training and `test_size` test examples in a recorded order.

    Attributes:
      dataset: "mnist" (the package holds its first 1000 training and all 10,000 test images), "modular"
        (arithmetic, see `tasks.modular`), "token_selection" (drawn by each run, see its file in `tasks`), another
        image or text classification set of TFDS, as `prepare` left it ("fashion_mnist", "cifar10", "glue/sst2",
        "trec", "ag_news_subset", ...), or a file of your own: arrays (.npz), texts (.jsonl, .csv, .label; also
        .gz), or a task, "FILE.py:NAME" (docs/extending.md).
      train_size: training examples used; of "modular" also a share of the pairs, as 0.3, rounded down.
      test_size: test examples on which the in-line measures are taken; 0 means all.
      order: what "first" means: "official", as the files of the data set have it; "stratified", of these in turn
        from all classes, so that the first m, of training and test examples alike, have the classes in the
        proportions of the whole (`subset.stratified`); or "tfds", shuffled once when TFDS prepared it, which is
        another subset.
      normalisation: of pixels x in 0 ... 255: "standard", (x / 255 - mean) / std per channel, with the customary
        constants of MNIST, Fashion-MNIST and CIFAR-10 and those of the training examples used for any other
        set; or "unit", x / 255.
      balanced: take the first train_size / K examples of each of the K classes instead.
      label_noise: share of the training labels that are replaced by another class, uniformly.
      random_labels: replace every training label by a class drawn uniformly.
      label_seed: of the two above; not the seed of the runs, which all see the same labels.
      test_file: test examples beside a text file of your own.
      modulus: p of "modular", whose inputs are the p^2 pairs (a, b); None means 97. This and the next three belong
        to no other data set.
      operation: what is to be computed modulo p: "addition" (None), "subtraction", "multiplication", "division" (by
        b > 0; p prime), "x2+y2" or "x2+xy+y2".
      form: of a pair: "one_hot" (None), two one-hot vectors side by side; "tokens", the four tokens a, operation,
        b, equals; or "all_tokens", the same with every token a class, signs too (arXiv:2412.09810, its code).
      split: "fixed" (None), the same for all runs; or "seed", drawn by each run's own seed.
      dimension: d of "token_selection", numbers of a token; None means 2000. This and the next four belong to no
        other data set.
      tokens: T, of a sequence; None means 8.
      signal_norm: length of the signal, in units of the noise in one direction; None means 20.
      weak_signal: share of it in the weakly relevant tokens; None means 0.1.
      test_noise: "independent" (None), or "training": the test examples begin with the training examples, under
        their true labels.
      max_tokens: a text is cut after so many WordPiece tokens, [CLS] and [SEP] included.
      vocabulary: WordPiece vocabulary; "" means the BERT uncased one that `prepare` keeps in `data_dir`.
      data_dir: where `prepare` puts data; "" means $TFDS_DATA_DIR or ~/tensorflow_datasets.
    """

    dataset: str = "mnist"
    train_size: Annotated[int, float] = 1000  # the share is a number of examples once `choices.filled`
    test_size: int = 0
    order: str = "official"
    normalisation: str = "standard"
    balanced: bool = False
    label_noise: float = 0.0
    random_labels: bool = False
    label_seed: int = 0
    test_file: str = ""
    modulus: int | None = None
    operation: str | None = None
    form: str | None = None
    split: str | None = None
    dimension: int | None = None
    tokens: int | None = None
    signal_norm: float | None = None
    weak_signal: float | None = None
    test_noise: str | None = None
    max_tokens: int = 128
    vocabulary: str = ""
    data_dir: str = ""


@dataclasses.dataclass
class Model:
    """The network; an option that is None has the model's own default, and only its own options may be given.

    Attributes:
      name: "mlp", "cnn", "conv2", "transformer", "decoder", "embedding_mlp", "token_selection", "token_encoder",
        "resnet18", "resnet20", "resnet34", "resnet50", "resnet101", "resnet152", "vgg11", or a model of your
        own, "FILE.py:NAME" (docs/extending.md). `choices` has the options of each, and their defaults.
      init: what `grid.init_scale` multiplies: "all" parameters; the "linear" ones (mlp: weights and biases of all
        layers; cnn, conv2: of the dense layers; transformer and decoder: of the feed-forward blocks and the head;
        embedding_mlp: of all but the embedding; resnet, vgg11: of the head); "zero_last_layer", all of them, and
        the head begins at zero; or "default": "all" for mlp and a model of your own that says nothing else,
        "linear" for the others (arXiv:2509.20829 multiplies so). "kaiming_normal" multiplies as "default" and draws
        kernels from N(0, 2 / inputs) and scales of normalisation from U(0, 1) (arXiv:2205.07320).
      hidden: mlp, embedding_mlp: widths of the hidden layers; the last one is the number of features D.
      activation: of all but resnets and vgg11 (in transformer and decoder inside the feed-forward blocks): "relu",
        "smooth_leaky_relu", "gelu", "gelu_tanh", "tanh" or "silu".
      last_layer_act: mlp, embedding_mlp and cnn: whether the last hidden layer has the activation too; False makes
        the penultimate layer linear, so that the network ends with two linear layers.
      norm: mlp: "none", "layer" (LayerNorm) or "batch" (BatchNorm), between each hidden layer and its activation;
        or "length": the input of each hidden layer is divided by the root of its mean square.
      head_bias: mlp: whether the last layer has a bias.
      dropout: mlp, vgg11: share of the outputs of each hidden layer that a training step sets to zero; resnet: of
        those of the stem.
      width: cnn, conv2: channels of the first convolution; transformer, decoder and embedding_mlp: of tokens;
        token_encoder: of the hidden layer; resnet: channels of the stem; vgg11: of the first convolution.
      depth: transformer and decoder: layers.
      heads: transformer and decoder: attention heads.
      patch_size: transformer: side of the patches of an image.
      trained: token_selection: "both", the matrix W and the query p, or "query": p alone, W is the identity.
      form: token_selection: "kernel", whose steps take no time that depends on d, or "direct", by automatic
        differentiation; the parameters are the same up to rounding.
    """

    name: str = "mlp"
    init: str = "default"
    hidden: tuple[int, ...] | None = None
    activation: str | None = None
    last_layer_act: bool | None = None
    norm: str | None = None
    head_bias: bool | None = None
    dropout: float | None = None
    width: int | None = None
    depth: int | None = None
    heads: int | None = None
    patch_size: int | None = None
    trained: str | None = None
    form: str | None = None


@dataclasses.dataclass
class Optimizer:
    """The update rule; its learning rate and weight decay are hyperparameters of the grid. None as in `Model`.

    Attributes:
      name: "adamw" (decoupled decay on all parameters), "adam", "sgd" (both with coupled decay, as in PyTorch),
        "gd" (sgd on the full batch), "lion", "muon" (both with decoupled decay on all parameters), or
        FILE.py:NAME of an `OwnOptimizer` (docs/extending.md).
      b1: Adam's and AdamW's decay of the first moment; in Lion what the step keeps of it.
      b2: Adam's and AdamW's decay of the second moment; Lion's of the first.
      eps: Adam's and AdamW's constant beside the root of the second moment.
      momentum: of SGD, GD (0 is none) and Muon.
      decay: which parameters the weight decay is on: "all", or "matrices" for those of two dimensions and more, so
        that biases and scales of normalisation are free.
    """

    name: str = "adamw"
    b1: float | None = None
    b2: float | None = None
    eps: float | None = None
    momentum: float | None = None
    decay: str | None = None


@dataclasses.dataclass
class Schedule:
    """Steps at which something happens; the last step is always one of them.

    Attributes:
      rule: "reference" (every step below 30, every 10th below 150, then every (steps // points)-th),
        "geometric" (`points` steps in constant ratio, and step 0) or "explicit" (`at` alone).
      points: density of the first two rules.
      at: further steps, added to those of any rule.
    """

    rule: str = "reference"
    points: int = 150
    at: tuple[int, ...] = ()


@dataclasses.dataclass
class Snapshots:
    """What is stored of each run for measures taken later, and when.

    Attributes:
      schedule: the snapshot steps.
      content: any of "train" (features and logits of the training set), "test" (the same of the first
        `test_size` test examples), "head" (the last layer) and "parameters" (all of them, from which `measure`
        computes every layer again, on any number of test examples; the other three are then needed only by other
        readers); () stores nothing.
      test_size: test examples of "test", the first ones: at most so many, where the task measures fewer; 0 means
        all that the task measures.
    """

    schedule: Schedule = field(default_factory=lambda: Schedule(rule="geometric", points=40))
    content: tuple[str, ...] = ("train", "test", "head")
    test_size: int = 1000


@dataclasses.dataclass
class Packing:
    """How runs are laid on the hardware; recorded with the results, because their last bits depend on it.

    Attributes:
      devices: local devices that share the runs; 0 lets the backend choose (on CPU one host device per core).
      runs_per_tile: runs that are vmapped together on a device, tile after tile; 0 lets the backend choose (on
        CPU one: a run then stays in cache and its bits do not depend on the grid).
    """

    devices: int = 0
    runs_per_tile: int = 0


@dataclasses.dataclass
class Thresholds:
    """Crossings that define the time scales: how a sweep is read, unless whoever reads it gives others.

    Attributes:
      train_accuracy: tau_fit is the first step at which the training accuracy reaches it.
      test_accuracy: tau_grok, the same for the test accuracy.
      rnc1: tau_collapse is the first step at which RNC1 (sup norm, training features) is at most this.
    """

    train_accuracy: float = 0.99
    test_accuracy: float = 0.85
    rnc1: float = 0.01


@dataclasses.dataclass
class Experiment:
    """One sweep: a grid of runs of one network on one task.

    Attributes:
      name: heading of reports and figures.
      grid: hyperparameters, traced: no value of them compiles anything anew.
      steps: optimizer updates per run.
      batch_size: examples per step, drawn by a fresh permutation per epoch (the last batch of an epoch may be
        shorter); 0 means the whole training set.
      loss: "squared_error_sum" (over batch and classes, no 1/2), "squared_error_mean" (over both),
        "cross_entropy" or "stablemax_cross_entropy" (means over the batch), or FILE.py:NAME of a `Loss`.
      task: the data.
      model: the network.
      optimizer: the update rule.
      training: the rest of how a run is trained: terms of the step, scheme, rate in time, levels.
      measures: families of in-line measures.
      log: steps at which the in-line measures are taken.
      snapshots: what is stored for later measures.
      checkpoint_seconds: time between checkpoints.
      chunk_seconds: time of one call of the training program, after which a signal is heeded and the bar moves.
      packing: layout on the hardware.
      precision: of matrix multiplications, "highest" (float32), "default" (float32 truncated to bfloat16 on TPU, to
        TF32 on GPU) or "high" (the sum of three such products, nearly float32; of convolutions on GPU one).
      dtype: "float32" or "float64", of inputs, parameters, the optimizer's state and the measures. Inputs and
        initial parameters are made in float32 in either case, so that runs of both types begin equal; results
        are stored in float32.
      thresholds: of the time scales, with which the results are read by default; no number of the training depends
        on them, unless runs stop by events.
      stop: when a run is done before the last step.
    """

    name: str = "experiment"
    grid: Grid = field(default_factory=Grid)
    steps: int = 100_000
    batch_size: int = 100
    loss: str = "squared_error_sum"
    task: Task = field(default_factory=Task)
    model: Model = field(default_factory=Model)
    optimizer: Optimizer = field(default_factory=Optimizer)
    training: Training = field(default_factory=Training)
    measures: tuple[str, ...] = ("fit", "norms", "collapse")
    log: Schedule = field(default_factory=Schedule)
    snapshots: Snapshots = field(default_factory=Snapshots)
    checkpoint_seconds: float = 60.0
    chunk_seconds: float = 3.0
    packing: Packing = field(default_factory=Packing)
    precision: str = "highest"
    dtype: str = "float32"
    thresholds: Thresholds = field(default_factory=Thresholds)
    stop: Stop = field(default_factory=Stop)
