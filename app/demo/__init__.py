"""The demo: the tutorial's tasks, a data set and its statistics. A team deletes this folder."""
