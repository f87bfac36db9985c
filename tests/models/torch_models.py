"""The reference's networks, written anew in PyTorch from their description; they take copies of our parameters."""

import itertools

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class TorchMLP(nn.Module):
    def __init__(self, sizes, activation, norm):
        super().__init__()
        self.linear = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        kind = {"none": nn.Identity, "layer": nn.LayerNorm, "batch": nn.BatchNorm1d}[norm]
        self.norm = nn.ModuleList(kind(size) if norm != "none" else kind() for size in sizes[1:-1])
        self.activation = activation

    def forward(self, x):
        for linear, norm in zip(self.linear[:-1], self.norm, strict=True):
            x = self.activation(norm(linear(x)))
        return self.linear[-1](x), x

    def copy(self, params, stats):
        for i, (linear, norm) in enumerate(zip(self.linear[:-1], self.norm, strict=True)):
            copy_linear(linear, params[f"hidden_{i}"])
            if f"norm_{i}" in params:
                copy_norm(norm, params[f"norm_{i}"], stats.get(f"norm_{i}"))
        copy_linear(self.linear[-1], params["head"])


class TorchCNN(nn.Module):
    """Images [N, C, H, W]; the columns of `hidden` are in the order C, H, W."""

    def __init__(self, channels, width, side, features, classes):
        super().__init__()
        self.conv_0, self.conv_1 = nn.Conv2d(channels, width, 3, 1, 1), nn.Conv2d(width, 2 * width, 3, 1, 1)
        self.shape = (side // 2, side // 2, 2 * width)
        self.hidden, self.head = nn.Linear(int(np.prod(self.shape)), features), nn.Linear(features, classes)

    def forward(self, x):
        x = functional.max_pool2d(torch.relu(self.conv_1(torch.relu(self.conv_0(x)))), 2)
        x = torch.relu(self.hidden(x.flatten(1)))
        return self.head(x), x

    def copy(self, params, stats):
        copy_conv(self.conv_0, params["conv_0"])
        copy_conv(self.conv_1, params["conv_1"])
        kernel = np.asarray(params["hidden"]["kernel"])
        rows = np.arange(len(kernel)).reshape(self.shape).transpose(2, 0, 1).ravel()
        copy_linear(self.hidden, {"kernel": kernel[rows], "bias": params["hidden"]["bias"]})
        copy_linear(self.head, params["head"])


class TorchConv2(nn.Module):
    """Images [N, C, H, W]; the columns of `hidden_0` are in the order C, H, W."""

    def __init__(self, channels, width, side, classes):
        super().__init__()
        self.conv_0, self.conv_1 = nn.Conv2d(channels, width, 3, 1, 1), nn.Conv2d(width, width, 3, 1, 1)
        self.shape = (side // 2, side // 2, width)
        self.hidden_0 = nn.Linear(int(np.prod(self.shape)), 4 * width)
        self.hidden_1, self.head = nn.Linear(4 * width, 4 * width), nn.Linear(4 * width, classes)

    def forward(self, x):
        x = functional.max_pool2d(torch.relu(self.conv_1(torch.relu(self.conv_0(x)))), 2)
        x = torch.relu(self.hidden_1(torch.relu(self.hidden_0(x.flatten(1)))))
        return self.head(x), x

    def copy(self, params, stats):
        for name in ("conv_0", "conv_1"):
            copy_conv(self.get_submodule(name), params[name])
        kernel = np.asarray(params["hidden_0"]["kernel"])
        rows = np.arange(len(kernel)).reshape(self.shape).transpose(2, 0, 1).ravel()
        copy_linear(self.hidden_0, {"kernel": kernel[rows], "bias": params["hidden_0"]["bias"]})
        for name in ("hidden_1", "head"):
            copy_linear(self.get_submodule(name), params[name])


class TorchVGG11(nn.Module):
    """Images [N, C, H, W] that are pooled to one pixel."""

    def __init__(self, channels, width, flat, classes):
        super().__init__()
        plan = [width * times for times in (1, 2, 4, 4, 8, 8, 8, 8)]
        self.pooled = (0, 1, 3, 5, 7)
        for i, (a, b) in enumerate(itertools.pairwise([channels, *plan])):
            self.add_module(f"conv_{i}", nn.Conv2d(a, b, 3, 1, 1))
            self.add_module(f"conv_norm_{i}", nn.BatchNorm2d(b))
        for i, a in enumerate((flat, 8 * width)):
            self.add_module(f"dense_{i}", nn.Linear(a, 8 * width))
            self.add_module(f"dense_norm_{i}", nn.BatchNorm1d(8 * width))
        self.head = nn.Linear(8 * width, classes)

    def forward(self, x):
        for i in range(8):
            x = torch.relu(self.get_submodule(f"conv_norm_{i}")(self.get_submodule(f"conv_{i}")(x)))
            if i in self.pooled and x.shape[-1] > 1:
                x = functional.max_pool2d(x, 2)
        x = x.flatten(1)
        for i in range(2):
            x = torch.relu(self.get_submodule(f"dense_norm_{i}")(self.get_submodule(f"dense_{i}")(x)))
        return self.head(x), x

    def copy(self, params, stats):
        for name, module in self.named_children():
            if "norm" in name:
                copy_norm(module, params[name], stats[name])
            else:
                (copy_conv if name.startswith("conv") else copy_linear)(module, params[name])


class TorchTransformer(nn.Module):
    """Images [N, C, H, W], or texts [N, T] with a vocabulary."""

    def __init__(self, width, depth, heads, classes, channels=0, patch=4, vocabulary=0):
        super().__init__()
        self.embed = (
            nn.Embedding(vocabulary, width, padding_idx=0)
            if vocabulary
            else nn.Conv2d(channels, width, patch, stride=patch)
        )
        self.cls = nn.Parameter(torch.randn(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, 513, width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, 2 * width, dropout=0.0, batch_first=True) for _ in range(depth)
        )
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        padding = None
        if isinstance(self.embed, nn.Embedding):
            padding = torch.cat([torch.zeros(len(x), 1, dtype=torch.bool), x == 0], dim=1)
            tokens = self.embed(x)
        else:
            tokens = self.embed(x).flatten(2).transpose(1, 2)
        h = torch.cat([self.cls.expand(len(x), -1, -1), tokens], dim=1)
        h = h + self.positions[:, : h.shape[1]]
        for block in self.blocks:
            h = block(h, src_key_padding_mask=padding)
        return self.head(h[:, 0]), h[:, 0]

    def copy(self, params, stats):
        if isinstance(self.embed, nn.Embedding):
            copy_(self.embed.weight, params["embedding"])
        else:
            patch, channels = self.embed.kernel_size[0], self.embed.in_channels
            kernel = np.asarray(params["patches"]["kernel"]).reshape(patch, patch, channels, -1)
            copy_conv(self.embed, {"kernel": kernel, "bias": params["patches"]["bias"]})
        copy_(self.cls, params["cls"])
        copy_(self.positions, params["positions"])
        for i, block in enumerate(self.blocks):
            ours = params[f"layer_{i}"]
            copy_(block.self_attn.in_proj_weight, np.asarray(ours["attention"]["in_proj"]["kernel"]).T)
            copy_(block.self_attn.in_proj_bias, ours["attention"]["in_proj"]["bias"])
            copy_linear(block.self_attn.out_proj, ours["attention"]["out_proj"])
            copy_linear(block.linear1, ours["linear1"])
            copy_linear(block.linear2, ours["linear2"])
            copy_norm(block.norm1, ours["norm1"])
            copy_norm(block.norm2, ours["norm2"])
        copy_linear(self.head, params["head"])


class TorchBlock(nn.Module):
    def __init__(self, channels, width, stride, bottleneck):
        super().__init__()
        if bottleneck:
            plan, out = [(channels, width, 1, 1), (width, width, 3, stride), (width, 4 * width, 1, 1)], 4 * width
        else:
            plan, out = [(channels, width, 3, stride), (width, width, 3, 1)], width
        self.conv = nn.ModuleList(nn.Conv2d(a, b, k, s, k // 2, bias=False) for a, b, k, s in plan)
        self.norm = nn.ModuleList(nn.BatchNorm2d(b) for _, b, _, _ in plan)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels != out:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        self.out = out

    def forward(self, x):
        h = x
        for i, (conv, norm) in enumerate(zip(self.conv, self.norm, strict=True)):
            h = norm(conv(h))
            if i < len(self.conv) - 1:
                h = torch.relu(h)
        return torch.relu(h + self.shortcut(x))


class TorchResNet(nn.Module):
    def __init__(self, counts, bottleneck, channels, width, classes):
        super().__init__()
        self.stem, self.stem_norm = nn.Conv2d(channels, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        self.blocks, channels = nn.ModuleDict(), width
        for stage, count in enumerate(counts):
            for i in range(count):
                stride = 2 if stage > 0 and i == 0 else 1
                block = TorchBlock(channels, width * 2**stage, stride, bottleneck)
                self.blocks[f"stage_{stage}_block_{i}"], channels = block, block.out
        self.head = nn.Linear(channels, classes)

    def forward(self, x):
        x = torch.relu(self.stem_norm(self.stem(x)))
        for block in self.blocks.values():
            x = block(x)
        x = functional.adaptive_avg_pool2d(x, 1).flatten(1)
        return self.head(x), x

    def copy(self, params, stats):
        copy_conv(self.stem, params["stem"])
        copy_norm(self.stem_norm, params["stem_norm"], stats["stem_norm"])
        for name, block in self.blocks.items():
            for i, (conv, norm) in enumerate(zip(block.conv, block.norm, strict=True)):
                copy_conv(conv, params[name][f"conv_{i}"])
                copy_norm(norm, params[name][f"norm_{i}"], stats[name][f"norm_{i}"])
            if len(block.shortcut):
                copy_conv(block.shortcut[0], params[name]["shortcut"])
                copy_norm(block.shortcut[1], params[name]["shortcut_norm"], stats[name]["shortcut_norm"])
        copy_linear(self.head, params["head"])


def copy_(tensor, array):
    with torch.no_grad():
        tensor.copy_(torch.from_numpy(np.array(array)))


def copy_linear(layer, params):
    copy_(layer.weight, np.asarray(params["kernel"]).T)
    copy_(layer.bias, params["bias"])


def copy_conv(layer, params):
    copy_(layer.weight, np.asarray(params["kernel"]).transpose(3, 2, 0, 1))
    if "bias" in params:
        copy_(layer.bias, params["bias"])


def copy_norm(layer, params, stats=None):
    copy_(layer.weight, params["scale"])
    copy_(layer.bias, params["bias"])
    if stats is not None:
        copy_(layer.running_mean, stats["mean"])
        copy_(layer.running_var, stats["var"])
