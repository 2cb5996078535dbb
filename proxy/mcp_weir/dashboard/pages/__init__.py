"""One file for each group of pages: what a page asks of the store, and the view it hands to its template."""
