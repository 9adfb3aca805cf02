"""One take of one shot: submitted once, waited for, downloaded, verified, kept."""
