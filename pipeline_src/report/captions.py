"""What the figures and tables of the report show, for its page and for `snakemake --report`; plain text."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Caption:
    """Of a group of figures.

    Attributes:
        category: where they stand among all.
        title: what they show, in a few words.
        text: how to read them.
    """

    category: str
    title: str
    text: str


# By folder below report/figures.
FIGURES = {
    "results": Caption(
        "Results",
        "Top-1 of every row of the results table",
        "Dots: mean top-1 over splits and seeds; bars: 95 % interval over source videos, and over seeds where a row"
        " has several; dashed: chance, or the share of the most frequent class where that is larger.",
    ),
    "protocols": Caption(
        "Results",
        "Retrieval, and fewer labels",
        "As in the paper’s Fig. 4. Retrieval: share of test clips with one of their class among the k nearest"
        " training clips, by cosine; recall has no interval. Fewer labels: top-1 by the number of labelled training"
        " clips; the last point has all labels, bars are 95 % intervals as above. Means over splits and seeds.",
    ),
    "pool": Caption(
        "Results",
        "Less of the pool",
        "How much do more unlabelled videos help? As in the paper’s Fig. 5: the same loss learned from a part"
        " of the pool, for as many iterations or as many epochs.",
    ),
    "confusion": Caption(
        "Results",
        "Confusions",
        "By one layer on test clips: rows are true classes, columns the classes that clips were named, in %"
        " of the row.",
    ),
    "agreement": Caption(
        "Fitness",
        "Fitness and transfer",
        "Does fitness foretell transfer? One column of marks per lineup entry, one mark per method: if it"
        " did, they would rise to the right.",
    ),
    "fitness": Caption(
        "Fitness",
        "Fitness over generations",
        "Every dot is an individual, every horizontal line a control: a fitness that controls reach as well"
        " means little.",
    ),
    "tasks": Caption(
        "Weights",
        "Task weights over generations",
        "As in the paper’s Fig. 8. Solid: the best individual of each generation; dotted: the mean of the generation.",
    ),
    "distillation": Caption(
        "Weights",
        "Distillation weights over generations",
        "As in the paper’s Fig. 6. Into the rgb network, by teacher and layer; solid: the best individual of"
        " each generation, dotted: the mean.",
    ),
    "map": Caption(
        "Weights",
        "All weights over generations",
        "As in the paper’s Fig. 3. Columns: the best individual of each generation, and last the evolved"
        " loss, the best of all generations.",
    ),
    "final": Caption(
        "Weights",
        "The evolved loss",
        "As in the paper’s Fig. 7: the weights of the best individual of all generations. Empty cells: no"
        " such term in the search.",
    ),
    "losses": Caption(
        "Training",
        "Raw losses of one entry",
        "Before scaling and weighting, by task family, one batch per point; first seed. Where there are two"
        " answers (shuffle, backward, align), 0.69 is guessing.",
    ),
    "relative": Caption(
        "Training",
        "Losses of every trained entry",
        "Raw loss of every term divided by its first logged value, as a running median of five logged steps;"
        " first seed. A term that is learned falls below 1; one that stays there is not learned.",
    ),
}
# By file below report/tables.
TABLES = {
    "comparisons": "Evolved minus each other row by each method on the same test clips: difference, 95 % interval, p"
    " and what follows.",
    "correlations": "Rank correlations of the measures of fitness, and of fitness and top-1.",
    "confusions": "Test clips of each class by the class that they were named, by one layer.",
    "fitness": "Fitness of controls and of trained networks, per seed, with its parts and guards.",
    "losses": "Every logged step of every training: raw and scaled loss of each term, and its weight.",
    "splits": "Test clips and classes of each split, chance and the share of the most frequent class; test clips of"
    " classes without a training clip, these classes, and the top-1 that none can exceed for them.",
    "overlap": "Clips and source videos that the pool shares with each part of a split, and source videos that the"
    " split has on both of its sides.",
    "clips": "Planned, usable and failed clips of each collection by outcome.",
    "costs": "Jobs of each stage: seconds, processor time, memory.",
}
PAGE = (
    "What was run, and what its numbers say: results with intervals and baselines, fitness beside its"
    " controls, weights over the generations, training curves, failed clips, time and memory. One file that"
    " needs no network."
)


def of_figures() -> dict[str, str]:
    """The caption of each group of figures, title and text."""
    return {group: f"{found.title}. {found.text}" for group, found in FIGURES.items()}


def of_tables() -> dict[str, str]:
    """The caption of each table."""
    return {name: f"{text} One row per observation." for name, text in TABLES.items()}
