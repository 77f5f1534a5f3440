"""One page, to be sent to a colleague, of what there is: figures, claims, costs, and what each run was made by."""
