"""Train the sample checkpoints that the program ships.

A small convolutional network learns to read generated digits (seven-segment glyphs,
shifted, scaled, sheared and noisy) and is saved as people save theirs: model, optimizer,
scheduler, epoch, losses, accuracies, configuration and random state. The same run is
saved after two epochs, and its final weights once more as ``nn.DataParallel`` names them.

Everything is seeded and runs on one CPU thread: `make samples` gives the same weights on
the same torch version. It takes about ten seconds.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

SAMPLES = Path(__file__).resolve().parent.parent / "resources" / "samples"

CONFIG: dict[str, Any] = {
    "model": "DigitsCNN",
    "classes": 10,
    "image_size": 16,
    "channels": [12, 24],
    "dropout": 0.1,
    "dataset": {"name": "generated seven-segment digits", "train": 12_000, "test": 2_000},
    "batch_size": 128,
    "epochs": 4,
    "optimizer": {"name": "AdamW", "lr": 3e-3, "weight_decay": 1e-2},
    "seed": 7,
    "augment": True,
}

# Which of the seven segments each digit lights; their order is that of `SEGMENTS`.
LIT = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg")
# Segment ends in a box from (0, 0) at the top left to (1, 2) at the bottom right.
SEGMENTS = {
    "a": ((0, 0), (1, 0)),
    "b": ((1, 0), (1, 1)),
    "c": ((1, 1), (1, 2)),
    "d": ((0, 2), (1, 2)),
    "e": ((0, 1), (0, 2)),
    "f": ((0, 0), (0, 1)),
    "g": ((0, 1), (1, 1)),
}


def generate_digits(count: int, size: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of shape (count, 1, size, size) in 0 to 1, and their labels."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
    labels = random.integers(0, 10, count)
    images = np.empty((count, 1, size, size), np.float32)
    for index, label in enumerate(labels):
        width, height = random.uniform(3.5, 5.5), random.uniform(4.0, 6.0)
        left, top = random.uniform(2, size - 3 - width), random.uniform(1, size - 2 - 2 * height)
        shear, thickness = random.uniform(-0.15, 0.15), random.uniform(0.5, 0.9)
        distance = np.full((size, size), np.inf, np.float32)
        for name in LIT[label]:
            ends = [
                (left + x * width + shear * (1 - y) * height, top + y * height)
                for x, y in SEGMENTS[name]
            ]
            distance = np.minimum(distance, distance_to_segment(columns, rows, *ends))
        ink = np.clip(1.2 - distance / thickness + 0.5, 0, 1) * random.uniform(0.6, 1.0)
        images[index, 0] = np.clip(ink + random.normal(0, 0.12, ink.shape), 0, 1)
    return torch.from_numpy(images), torch.from_numpy(labels)


def distance_to_segment(
    x: np.ndarray, y: np.ndarray, start: tuple[float, float], end: tuple[float, float]
) -> np.ndarray:
    """How far each point is from the line between two ends, in pixels."""
    across, down = end[0] - start[0], end[1] - start[1]
    along = ((x - start[0]) * across + (y - start[1]) * down) / (across**2 + down**2)
    along = np.clip(along, 0, 1)
    return np.hypot(x - start[0] - along * across, y - start[1] - along * down)


class DigitsCNN(nn.Module):
    """Two convolutional blocks and two linear layers, about 18,000 parameters."""

    def __init__(self, channels: list[int], classes: int, image_size: int, dropout: float) -> None:
        super().__init__()
        first, second = channels
        self.features = nn.Sequential(
            nn.Conv2d(1, first, 3, padding=1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(first, second, 3, padding=1, bias=False),
            nn.BatchNorm2d(second),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(second * (image_size // 4) ** 2, 38),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(38, classes),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of shape (batch, classes)."""
        return self.classifier(self.features(images))


def train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
    images: torch.Tensor,
    labels: torch.Tensor,
) -> float:
    """One pass over the images; the mean loss."""
    model.train()
    total = 0.0
    for batch in torch.randperm(len(images)).split(CONFIG["batch_size"]):
        loss = functional.cross_entropy(model(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        total += loss.item() * len(batch)
    return total / len(images)


@torch.no_grad()
def evaluate(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    """Loss and accuracy."""
    model.eval()
    logits = model(images)
    loss = functional.cross_entropy(logits, labels).item()
    return loss, (logits.argmax(1) == labels).double().mean().item()


def train(folder: Path) -> None:
    """Train the network and write the three files into `folder`."""
    torch.set_num_threads(1)
    torch.manual_seed(CONFIG["seed"])
    torch.use_deterministic_algorithms(True)
    size, dataset = CONFIG["image_size"], CONFIG["dataset"]
    images, labels = generate_digits(dataset["train"], size, seed=CONFIG["seed"])
    test_images, test_labels = generate_digits(dataset["test"], size, seed=CONFIG["seed"] + 1)

    model = DigitsCNN(CONFIG["channels"], CONFIG["classes"], size, CONFIG["dropout"])
    settings = CONFIG["optimizer"]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings["lr"], weight_decay=settings["weight_decay"]
    )
    steps = CONFIG["epochs"] * -(-dataset["train"] // CONFIG["batch_size"])
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)

    folder.mkdir(parents=True, exist_ok=True)
    history: dict[str, list[float]] = {"train_loss": [], "test_loss": [], "accuracy": []}
    for epoch in range(1, CONFIG["epochs"] + 1):
        loss = train_epoch(model, optimizer, scheduler, images, labels)
        test_loss, accuracy = evaluate(model, test_images, test_labels)
        history["train_loss"].append(loss)
        history["test_loss"].append(test_loss)
        history["accuracy"].append(accuracy)
        print(f"epoch {epoch}: loss {loss:.4f}, test loss {test_loss:.4f}, accuracy {accuracy:.4f}")
        if epoch in (2, CONFIG["epochs"]):
            checkpoint = {
                "epoch": epoch,
                "global_step": scheduler.last_epoch,
                "model_state_dict": model.state_dict(),
                "optimizer_state_dict": optimizer.state_dict(),
                "scheduler_state_dict": scheduler.state_dict(),
                "loss": loss,
                "accuracy": accuracy,
                "best_accuracy": max(history["accuracy"]),
                "history": history,
                "config": CONFIG,
                "class_names": [str(digit) for digit in range(CONFIG["classes"])],
                "rng_state": torch.get_rng_state(),
            }
            torch.save(checkpoint, folder / f"digits_cnn_epoch_{epoch}.pth")

    # DataParallel names the weights "module.…", with or without a GPU; .cpu() because with one
    # it moves them there.
    torch.save(nn.DataParallel(model).cpu().state_dict(), folder / "digits_cnn_data_parallel.pth")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=SAMPLES, help="folder for the files")
    train(parser.parse_args().output)


if __name__ == "__main__":
    main()
