"""Reading everything that the comparison needs, and judging it."""

from reproduce import paths
from reproduce.comparison.authors import read_authors_returns
from reproduce.comparison.integrity import read_checked_results
from reproduce.comparison.known_failures import read_known_failures
from reproduce.comparison.peers import read_peers
from reproduce.comparison.targets import read_targets
from reproduce.comparison.verdicts import Comparison, compare


def load_comparison(
    published: paths.Store = paths.PUBLISHED,
    yours: paths.Store | None = None,
    *,
    targets=paths.TARGETS,
    known_failures=paths.KNOWN_FAILURES,
    peers=paths.PEERS,
    authors=paths.AUTHORS_RETURNS,
    specs=paths.SPECS,
) -> Comparison:
    """The comparison of the published results, and of your own, with the paper.

    Args:
        published: the published record.
        yours: the results of your own runs. None, or a folder that does not exist yet: there are none.
        targets, known_failures, peers: YAML files.
        authors: the JSON file of the authors' returns.
        specs: the folder of the specs.

    Returns:
        A Comparison: targets, rows, claims, results, own_results, known_failures, peers, authors.

    Raises:
        UsageError: a file is missing or wrong; names file, key and what is allowed.
    """
    paper = read_targets(targets)
    results = read_checked_results(published, paper, specs)
    own = read_checked_results(yours, paper, specs) if yours is not None and yours.results.is_dir() else {}
    failures, others = read_known_failures(known_failures, paper), read_peers(peers, paper)
    return compare(paper, results, own, failures, others, read_authors_returns(authors))
